package api

import (
	"fmt"
	"math"

	sm "faultd/statemachine"
)

// showPosition answers with how far the log is applied and what it has come to, all of one moment.
func showPosition(c *call) error {
	position, counters, hash := c.h.store.State()
	health := c.h.health()
	body := appendText([]byte{'{'}, "stream", position.Stream)
	body = appendTime(body, "epoch", position.Epoch, precise)
	body = appendNumber(body, "sequence", position.Sequence)
	body = appendNumber(body, "lag", health.Lag)
	body = appendText(body, "state", health.State)
	body = appendText(body, "state_hash", fmt.Sprintf("%016x", hash))
	body = append(appendName(body, "policy"), '{')
	body = appendText(body, "retention", c.h.retention.String())
	body = append(appendText(body, "machine", c.h.machine), '}')
	body = appendCounters(append(appendName(body, "counters"), '{'), &counters)
	body = append(appendName(append(body, '}'), "gaps"), '[', ']')
	return c.json(append(body, '}'))
}

func appendCounters(dst []byte, n *sm.Counters) []byte {
	dst = appendNumber(dst, "received", n.Received)
	dst = appendNumber(dst, "applied", n.Applied)
	dst = appendNumber(dst, "ignored", n.Ignored)
	dst = appendNumber(dst, "rejected", n.Rejected)
	for _, verdict := range []sm.Verdict{sm.Ignored, sm.Rejected} {
		dst = append(appendName(dst, verdict.String()+"_by_reason"), '{')
		for _, reason := range sm.Reasons {
			if reason.Verdict() == verdict && n.ByReason[reason] > 0 {
				dst = appendNumber(dst, reason.String(), n.ByReason[reason])
			}
		}
		dst = append(dst, '}')
	}
	return appendNumber(dst, "unknown_fields", min(n.UnknownFields, math.MaxInt64))
}
