package consumer

import (
	"regexp"
	"strings"

	"faultd/statemachine"
)

// imageSteps are Glance's notifications on the way of an image into the world and out of it.
var imageSteps = map[string]struct {
	action statemachine.Action
	phase  statemachine.Phase
}{
	"create":   {statemachine.ActBuild, statemachine.PhaseAccepted},
	"prepare":  {statemachine.ActBuild, statemachine.PhaseStarted},
	"upload":   {statemachine.ActBuild, statemachine.PhaseProgressed},
	"activate": {statemachine.ActBuild, statemachine.PhaseSucceeded},
	"delete":   {statemachine.ActDelete, statemachine.PhaseSucceeded},
}

// image reads a notification of Glance.
//
// Its creation, its upload and its activation are requests of their own, so the request's id cannot be the job's:
// the job stays empty, and is the image's open one when the event is applied. An upload may be tried again after
// it failed, and is then a new job, since the old one has ended.
//
// An image that Nova takes from a server is also the subject of Nova's own snapshot notifications, whose job is
// Nova's request. Both jobs are about the same bytes and end alike; the snapshot begins later, so it shows SAVING
// until Nova says that it is done.
func (n *notice) image(t string) *refusal {
	s, ok := imageSteps[t]
	status := n.body.string("status")
	switch {
	case t == "upload" && n.urgent && n.body == nil:
		return n.uploadFailed()
	case t == "upload" && n.urgent, t == "update" && status == "killed":
		s.action, s.phase = statemachine.ActBuild, statemachine.PhaseFailed
	case t == "update" && status == "saving":
		s.action, s.phase = statemachine.ActBuild, statemachine.PhaseProgressed
	case !ok:
		return notAJob
	case n.body == nil:
		return &refusal{statemachine.Schema, "payload: must be an object"}
	}
	if bad := n.name(statemachine.Image, "payload.id", n.body.string("id")); bad != nil {
		return bad
	}
	n.e.Action, n.e.Phase, n.e.RequestID = s.action, s.phase, n.request()
	n.describe("name")
	n.e.Attributes = n.imageAttributes()
	if s.phase == statemachine.PhaseFailed {
		n.e.Fault = uploadFault("")
	}
	return nil
}

func uploadFault(details string) *statemachine.Fault {
	return &statemachine.Fault{Code: 500, Message: "The upload of the image failed",
		Details: statemachine.Clip(details, statemachine.MaxDetails)}
}

// uuidPattern finds the image in a sentence.
var uuidPattern = regexp.MustCompile(`(?i)\b[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\b`)

// uploadFailed reads the failure of an upload, whose payload is a sentence. One that names no image is nobody's.
func (n *notice) uploadFailed() *refusal {
	if n.payload == nil || n.payload.kind != '"' {
		return &refusal{statemachine.Schema, "payload: must be an object or a string"}
	}
	id := uuidPattern.FindString(n.payload.string())
	if id == "" {
		return &refusal{reason: statemachine.UnknownResource}
	}
	if bad := n.name(statemachine.Image, "payload", strings.ToLower(id)); bad != nil {
		return bad
	}
	n.e.Action, n.e.Phase, n.e.RequestID = statemachine.ActBuild, statemachine.PhaseFailed, n.request()
	n.e.Fault = uploadFault(n.payload.string())
	return nil
}
