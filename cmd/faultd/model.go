package main

import (
	"encoding/json"
	"time"
)

// What the /v1 interface answers, as far as tables show it.

type resource struct {
	Kind      string          `json:"kind"`
	ID        string          `json:"id"`
	Tenant    string          `json:"tenant_id"`
	User      string          `json:"user_id"`
	Name      string          `json:"name"`
	Status    string          `json:"status"`
	Progress  int             `json:"progress"`
	Created   time.Time       `json:"created"`
	Updated   time.Time       `json:"updated"`
	Job       *job            `json:"job"`
	Fault     *fault          `json:"fault"`
	Diagnosis *diagnosis      `json:"diagnosis"`
	Warning   *fault          `json:"warning"`
	Attempts  []attempt       `json:"attempts"`
	Sequence  uint64          `json:"sequence"`
	Extra     json.RawMessage `json:"attributes"`
}

type job struct {
	ID        string    `json:"id"`
	Action    string    `json:"action"`
	Phase     string    `json:"phase"`
	RequestID string    `json:"request_id"`
	Started   time.Time `json:"started"`
	Ended     time.Time `json:"ended"`
}

type fault struct {
	Code      int       `json:"code"`
	Created   time.Time `json:"created"`
	Message   string    `json:"message"`
	Details   string    `json:"details"`
	Reason    string    `json:"reason"`
	ErrorCode string    `json:"error_code"`
}

// diagnosis is what is thought of a resource's fault.
type diagnosis struct {
	Cause  string `json:"cause"`
	Retry  bool   `json:"retry"`
	Advice string `json:"advice"`
	Remark string `json:"remark"`
}

// faultGroup is what is counted of all faults that are one failure.
type faultGroup struct {
	Kind    string  `json:"kind"`
	Action  string  `json:"action"`
	Code    int     `json:"code"`
	Message string  `json:"message"`
	Cause   string  `json:"cause"`
	Active  uint64  `json:"active"`
	Total   uint64  `json:"total"`
	Shared  []share `json:"shared"`
}

// share is an attribute's value that many of a group's resources have.
type share struct {
	Attribute string `json:"attribute"`
	Value     string `json:"value"`
	Count     uint64 `json:"count"`
	Of        uint64 `json:"of"`
}

// attempt is an attempt of a job that failed while the job went on.
type attempt struct {
	Number int    `json:"number"`
	Fault  *fault `json:"fault"`
}

// row is one line of a resource's history; the stream of transitions adds whose it is.
type row struct {
	Kind     string    `json:"kind"`
	ID       string    `json:"id"`
	Tenant   string    `json:"tenant_id"`
	Sequence uint64    `json:"sequence"`
	Time     time.Time `json:"time"`
	Job      job       `json:"job"`
	From     string    `json:"from"`
	To       string    `json:"to"`
	Fault    *fault    `json:"fault"`
}

type link struct {
	Rel  string `json:"rel"`
	Href string `json:"href"`
}

// next is the link to the page that follows, or "".
func next(links []link) string {
	for _, l := range links {
		if l.Rel == "next" {
			return l.Href
		}
	}
	return ""
}

type hook struct {
	Name       string    `json:"name"`
	Kind       string    `json:"kind"`
	State      string    `json:"state"`
	Reason     string    `json:"reason"`
	Holder     string    `json:"holder"`
	Targets    []string  `json:"targets"`
	Pending    uint64    `json:"pending"`
	Retrying   uint64    `json:"retrying"`
	Dead       uint64    `json:"dead"`
	Delivered  uint64    `json:"delivered"`
	Suppressed uint64    `json:"suppressed"`
	Succeeded  time.Time `json:"last_success"`
	Error      *struct {
		Time    time.Time `json:"time"`
		Message string    `json:"message"`
	} `json:"last_error"`
}

type deadMessage struct {
	ID       string    `json:"id"`
	Resource string    `json:"resource"`
	Count    int       `json:"count"`
	Attempts int       `json:"attempts"`
	First    time.Time `json:"first"`
	Last     time.Time `json:"last"`
	Error    string    `json:"error"`
}
