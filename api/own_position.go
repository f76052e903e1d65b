package api

import (
	"cmp"
	"fmt"
	"math"

	sm "faultd/statemachine"
)

// showPosition answers with how far the log is applied and what it has come to, all of one moment; gaps and epochs may
// be a moment newer.
func showPosition(c *call) error {
	position, counters, hash := c.h.store.State()
	health := c.h.health()
	body := appendText([]byte{'{'}, "stream", position.Stream)
	body = appendTime(body, "epoch", position.Epoch, precise)
	body = appendNumber(body, "sequence", position.Sequence)
	body = appendNumber(body, "ordinal", position.Ordinal())
	body = appendNumber(body, "lag", health.Lag)
	body = appendText(body, "state", health.State)
	body = appendText(body, "state_hash", fmt.Sprintf("%016x", hash))
	body = append(appendName(body, "policy"), '{')
	body = appendText(body, "retention", c.h.retention.String())
	body = append(appendText(body, "machine", c.h.machine), '}')
	body = appendCounters(append(appendName(body, "counters"), '{'), &counters)
	body = appendGaps(append(body, '}'), c.h.store.Gaps())
	body = appendEpochs(body, c.h.store.Epochs())
	return c.json(append(body, '}'))
}

func appendGaps(dst []byte, gaps []sm.Gap) []byte {
	dst = append(appendName(dst, "gaps"), '[')
	for i := range gaps {
		g := &gaps[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendTime(append(dst, '{'), "epoch", g.Epoch, precise)
		dst = appendNumber(dst, "from", g.From)
		dst = appendNumber(dst, "to", g.To)
		dst = appendNumber(dst, "count", cmp.Or(g.Missing, g.To-g.From+1))
		dst = appendText(dst, "cause", g.Cause)
		dst = append(appendTime(dst, "noticed", g.Noticed, precise), '}')
	}
	return append(dst, ']')
}

// appendEpochs appends the epochs that ended: the streams that were applied before the present one.
func appendEpochs(dst []byte, epochs []sm.Position) []byte {
	dst = append(appendName(dst, "epochs"), '[')
	for i := range epochs {
		p := &epochs[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, '{'), "stream", p.Stream)
		dst = appendTime(dst, "epoch", p.Epoch, precise)
		dst = appendNumber(dst, "first", p.First)
		dst = append(appendNumber(dst, "last", p.Sequence), '}')
	}
	return append(dst, ']')
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
