package api

import (
	"net/http"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// metrics are those that the API keeps itself. Their labels come from fixed sets.
type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
}

func newMetrics(registry *prometheus.Registry, store Store) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "faultd_http_requests_total",
			Help: "Requests answered, by mount and status code.",
		}, []string{"mount", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "faultd_http_request_seconds",
			Help:    "Time from a request to the end of its answer, by mount; streams are left out.",
			Buckets: []float64{.0001, .00025, .0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10},
		}, []string{"mount"}),
	}
	registry.MustRegister(m.requests, m.seconds, resources{store})
	return m
}

// count counts an answer. To find a counter by its labels takes longer than to keep it.
func (m *metrics) count(of *mount, status int) {
	counter, ok := of.answered.Load(status)
	if !ok {
		counter, _ = of.answered.LoadOrStore(status, m.requests.WithLabelValues(of.name, strconv.Itoa(status)))
	}
	counter.(prometheus.Counter).Inc()
}

var resourcesDesc = prometheus.NewDesc("faultd_resources", "Resources known, by kind and status.", []string{"kind", "status"}, nil)

// resources collects how many resources there are.
type resources struct{ store Store }

// Describe implements [prometheus.Collector].
func (resources) Describe(out chan<- *prometheus.Desc) { out <- resourcesDesc }

// Collect implements [prometheus.Collector].
func (rs resources) Collect(out chan<- prometheus.Metric) {
	for kind, statuses := range rs.store.Summary("") {
		for status, n := range statuses {
			out <- prometheus.MustNewConstMetric(resourcesDesc, prometheus.GaugeValue, float64(n), kind.String(), status.String())
		}
	}
}

// scrape answers Prometheus.
func scrape(registry *prometheus.Registry) handler {
	serve := promhttp.HandlerFor(registry, promhttp.HandlerOpts{})
	return func(c *call) error {
		serve.ServeHTTP(http.ResponseWriter(&c.w), c.r)
		return nil
	}
}
