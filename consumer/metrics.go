package consumer

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"faultd/statemachine"
)

// metrics are what the consumer measures; what it can look up it collects when asked.
type metrics struct {
	batch, apply, commit prometheus.Histogram

	tellings tellCounts

	consumer *Consumer
	events   *prometheus.Desc
	lag      *prometheus.Desc
	position *prometheus.Desc
	state    *prometheus.Desc

	outboxRows, outboxOldest, told, notTold *prometheus.Desc
}

func newMetrics(c *Consumer) *metrics {
	histogram := func(name, help string, first, factor float64, n int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: name, Help: help, Buckets: prometheus.ExponentialBuckets(first, factor, n)})
	}
	return &metrics{
		batch:  histogram("faultd_batch_events", "Messages committed in one transaction.", 1, 4, 9),
		apply:  histogram("faultd_apply_seconds", "Time to fold a batch into the store, without its commit.", 50e-6, 3, 11),
		commit: histogram("faultd_commit_seconds", "Time to commit a batch.", 50e-6, 3, 11),

		consumer: c,
		events:   prometheus.NewDesc("faultd_events_total", "Messages of the stream, by what became of them.", []string{"outcome", "reason"}, nil),
		lag:      prometheus.NewDesc("faultd_lag_messages", "Messages of the stream that are not applied yet.", nil, nil),
		position: prometheus.NewDesc("faultd_position", "Sequence of the last message that is applied.", nil, nil),
		state:    prometheus.NewDesc("faultd_state", "1 for the state that the consumer is in.", []string{"state"}, nil),

		outboxRows:   prometheus.NewDesc("faultd_outbox_rows", "Faults raised and cleared that are not told yet.", nil, nil),
		outboxOldest: prometheus.NewDesc("faultd_outbox_oldest_seconds", "How long ago the oldest of them happened, by the stream; 0 without any.", nil, nil),
		told:         prometheus.NewDesc("faultd_outbox_told_total", "Faults raised and cleared that were told, by whom: this process (self), or another or an earlier one (other).", []string{"by"}, nil),
		notTold:      prometheus.NewDesc("faultd_outbox_failures_total", "How often telling failed, to be tried again.", nil, nil),
	}
}

func (m *metrics) committed(events int, apply, commit time.Duration) {
	m.batch.Observe(float64(events))
	m.apply.Observe(apply.Seconds())
	m.commit.Observe(commit.Seconds())
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.batch.Describe(ch)
	m.apply.Describe(ch)
	m.commit.Describe(ch)
	for _, d := range []*prometheus.Desc{m.events, m.lag, m.position, m.state, m.outboxRows, m.outboxOldest, m.told, m.notTold} {
		ch <- d
	}
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.batch.Collect(ch)
	m.apply.Collect(ch)
	m.commit.Collect(ch)
	counters := m.consumer.store.Counters()
	count := func(outcome statemachine.Verdict, reason string, n uint64) {
		ch <- prometheus.MustNewConstMetric(m.events, prometheus.CounterValue, float64(n), outcome.String(), reason)
	}
	count(statemachine.Applied, "", counters.Applied)
	for _, r := range statemachine.Reasons {
		count(r.Verdict(), r.String(), counters.ByReason[r])
	}
	ch <- prometheus.MustNewConstMetric(m.lag, prometheus.GaugeValue, float64(m.consumer.lag.messages()))
	ch <- prometheus.MustNewConstMetric(m.position, prometheus.GaugeValue, float64(m.consumer.store.Position().Sequence))
	m.collectOutbox(ch)
	now, _ := m.consumer.condition.now()
	for s, name := range stateNames {
		var present float64
		if State(s) == now {
			present = 1
		}
		ch <- prometheus.MustNewConstMetric(m.state, prometheus.GaugeValue, present, name)
	}
}

// collectOutbox says what is to be told and what was.
func (m *metrics) collectOutbox(ch chan<- prometheus.Metric) {
	cfg := &m.consumer.cfg
	if cfg.Outbox == nil {
		return
	}
	rows, oldest := cfg.Outbox.OutboxState()
	var age float64
	if oldest != 0 {
		age = max(cfg.Now().Sub(oldest.Std()).Seconds(), 0)
	}
	ch <- prometheus.MustNewConstMetric(m.outboxRows, prometheus.GaugeValue, float64(rows))
	ch <- prometheus.MustNewConstMetric(m.outboxOldest, prometheus.GaugeValue, age)
	ch <- prometheus.MustNewConstMetric(m.told, prometheus.CounterValue, float64(m.tellings.published.Load()), "self")
	ch <- prometheus.MustNewConstMetric(m.told, prometheus.CounterValue, float64(m.tellings.known.Load()), "other")
	ch <- prometheus.MustNewConstMetric(m.notTold, prometheus.CounterValue, float64(m.tellings.failed.Load()))
}
