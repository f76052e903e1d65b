package api

import sm "faultd/statemachine"

// listGroups answers with the groups of faults, those with most resources in ERROR first. The marker is a fingerprint.
func listGroups(c *call) error {
	limit, err := c.limit()
	if err != nil {
		return err
	}
	marker := c.param("marker")
	if c.params.Has("marker") && marker == "" {
		return c.markerError(sm.ErrUnknownMarker)
	}
	page, err := c.h.store.Groups(marker, limit)
	if err != nil {
		return c.markerError(err)
	}
	body, shared := append(appendName([]byte{'{'}, "groups"), '['), c.sharedVaults()
	for i := range page {
		if i > 0 {
			body = append(body, ',')
		}
		body = appendGroup(body, &page[i], shared)
	}
	next := ""
	if len(page) == limit {
		next = c.nextAt(page[len(page)-1].Fingerprint)
	}
	return c.json(append(appendNext(append(body, ']'), next), '}'))
}

// appendGroup appends a group as administrators see it.
func appendGroup(dst []byte, g *sm.Group, shared func(*sm.Resource) bool) []byte {
	dst = appendText(append(dst, '{'), "fingerprint", g.Fingerprint)
	dst = appendText(dst, "kind", g.Kind.String())
	dst = appendText(dst, "action", g.Action.String())
	dst = appendNumber(dst, "code", g.Code)
	if g.Reason != "" {
		dst = appendText(dst, "reason", g.Reason)
	}
	dst = appendText(dst, "message", g.Message)
	dst = appendText(dst, "cause", g.Cause.String())
	dst = appendNumber(dst, "active", g.Active)
	dst = appendNumber(dst, "total", g.Total)
	dst = appendTime(dst, "first_seen", g.First, precise)
	dst = appendTime(dst, "last_seen", g.Last, precise)
	dst = appendNumber(dst, "tenants", g.Tenants)
	dst = append(appendName(dst, "samples"), '[')
	for i := range g.Samples {
		if i > 0 {
			dst = append(dst, ',')
		}
		r := &g.Samples[i]
		dst = appendResource(dst, r, diagnose(r, shared(r)), true)
	}
	return append(appendShares(append(dst, ']'), g.Shared), '}')
}

// appendShares appends what a group's resources have in common as a member.
func appendShares(dst []byte, shares []sm.Share) []byte {
	dst = append(appendName(dst, "shared"), '[')
	for i := range shares {
		s := &shares[i]
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = appendText(append(dst, '{'), "attribute", s.Attribute)
		dst = appendText(dst, "value", s.Value)
		dst = appendNumber(dst, "count", s.Count)
		dst = append(appendNumber(dst, "of", s.Of), '}')
	}
	return append(dst, ']')
}
