package alert

import (
	"fmt"

	"github.com/prometheus/client_golang/prometheus"
)

// What else is counted of a hook than what attempts come to.
const (
	suppressedEvent result = "suppressed" // an event that healed within min_error_for, or its recovery
	forgotten       result = "forgotten"  // a message of a dead list that is full
	unreadable      result = "unreadable" // an event that is none of faultd's
)

// metrics are what this replica sends; what others send, they count.
type metrics struct {
	deliveries *prometheus.CounterVec
	pending    *prometheus.Desc
	alerter    *Alerter
}

func newMetrics(a *Alerter) *metrics {
	return &metrics{
		alerter: a,
		deliveries: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "faultd_hook_deliveries_total",
			Help: "Messages to hooks that this process sent, by what became of the attempt, and events that it did not send."}, []string{"hook", "result"}),
		pending: prometheus.NewDesc("faultd_hook_pending",
			"Events that this process has to tell a hook of and messages that it tries again; 0 where another replica sends.", []string{"hook"}, nil),
	}
}

func (m *metrics) count(hook string, r result, n int) {
	m.deliveries.WithLabelValues(hook, string(r)).Add(float64(n))
}

// Describe implements [prometheus.Collector].
func (m *metrics) Describe(ch chan<- *prometheus.Desc) {
	m.deliveries.Describe(ch)
	ch <- m.pending
}

// Collect implements [prometheus.Collector].
func (m *metrics) Collect(ch chan<- prometheus.Metric) {
	m.deliveries.Collect(ch)
	for name, s := range m.alerter.local() {
		ch <- prometheus.MustNewConstMetric(m.pending, prometheus.GaugeValue, float64(s.Pending+s.Retrying), name)
	}
}

func (m *metrics) register(r prometheus.Registerer) error {
	if r == nil {
		return nil
	}
	if err := r.Register(m); err != nil {
		return fmt.Errorf("registering the hooks' metrics: %w", err)
	}
	return nil
}
