package api

import (
	"encoding/json"
	"net/http"
)

// livez says that the process answers.
func livez(c *call) error { return c.json([]byte(`{"status":"alive"}`)) }

// readyz says whether what is read here is up to date.
func readyz(c *call) error {
	health := c.h.health()
	reasons := health.Reasons
	if reasons == nil {
		reasons = []string{}
	}
	body, err := json.Marshal(struct {
		State   string   `json:"state"`
		Reasons []string `json:"reasons"`
		Lag     uint64   `json:"lag"`
	}{health.State, reasons, health.Lag})
	if err != nil {
		return err
	}
	status := http.StatusOK
	if health.State != ready {
		status = http.StatusServiceUnavailable
	}
	c.reply(status, "application/json", body)
	return nil
}
