package api

import (
	"cmp"
	"encoding/binary"
	"encoding/hex"
	"hash/fnv"
	"net/http"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// volumeMessage is a fault of a resource's history, as Cinder tells its users what went wrong.
type volumeMessage struct {
	id       string
	event    string
	level    string
	text     string
	request  string // the request's id, or the job's where that is not known
	kind     string // of the resource, in Cinder's way
	resource string // its id
	created  sm.Time
	kept     sm.Time // until then it can be read; 0: for ever
	sequence uint64  // of the event that brought it
}

// The levels. An error is what left its resource in ERROR; a failed attempt, and whatever else changed no status, is a
// warning.
const (
	levelError   = "ERROR"
	levelWarning = "WARNING"
)

// newVolumeMessage is the message that a transition with a fault makes. It was created when the stream took it, so that
// messages stand in the order of their times and are kept for as long as history is.
func newVolumeMessage(c *sm.Change, retention time.Duration) volumeMessage {
	m := volumeMessage{id: messageID(&c.Key, c.Sequence), event: eventID(c), level: levelWarning, text: c.Fault.Message,
		request: cmp.Or(c.RequestID, c.Job), kind: messageKind(c.Kind), resource: c.ID, created: c.StreamTime, sequence: c.Sequence}
	if c.To == sm.Error {
		m.level = levelError
	}
	if retention > 0 {
		m.kept = c.StreamTime + sm.Time(retention)
	}
	return m
}

// messageKind is the resource type of a kind.
func messageKind(k sm.Kind) string {
	if k == sm.Backup {
		return "VOLUME_BACKUP"
	}
	return strings.ToUpper(k.String())
}

// cinderAction is a job that Cinder does too: the numbers in which it tells what failed.
type cinderAction struct {
	kind   sm.Kind
	action sm.Action
}

// cinderActions are the number of the action, and of the detail that it failed for no reason that has one.
var cinderActions = map[cinderAction][2]string{
	{sm.Backup, sm.ActBackup}:   {"013", "020"},
	{sm.Backup, sm.ActDelete}:   {"014", "025"},
	{sm.Restore, sm.ActRestore}: {"015", "026"},
}

// cinderDetails are Cinder's numbers for causes.
var cinderDetails = map[sm.Cause]string{
	sm.CauseUnknown:  "001",
	sm.CauseQuota:    "006",
	sm.CauseNetwork:  "018", // the service is down
	sm.CauseTimeout:  "018",
	sm.CauseCapacity: "024", // no service could be found for it
}

// badState is the detail of what may not be done with a resource as it is.
const badState = "017"

// eventID tells kinds of messages apart: VOLUME_<resource>_<action>_<detail>, in the numbers that Cinder has for what
// Cinder does, else in words.
func eventID(c *sm.Change) string {
	cause := sm.Diagnose(&sm.Resource{Key: c.Key}, c.Action, c.Fault, false).Cause
	if numbers, ok := cinderActions[cinderAction{c.Kind, c.Action}]; ok {
		detail := cmp.Or(cinderDetails[cause], numbers[1])
		if c.Fault.Code == http.StatusConflict {
			detail = badState
		}
		return "VOLUME_VOLUME_BACKUP_" + numbers[0] + "_" + detail
	}
	return eventName.Replace(strings.ToUpper("VOLUME_" + messageKind(c.Kind) + "_" + c.Action.String() + "_" + cause.String()))
}

var eventName = strings.NewReplacer("-", "_")

// A message's id is a UUID of version 8, which leaves 122 bits to whoever makes it: 60 of them are the sequence of the
// event that brought the fault, by which it is found; the others are a digest of whose it is, so that no id is good
// for another resource's message.

func messageID(k *sm.Key, sequence uint64) string {
	h := fnv.New64a()
	for _, part := range []string{k.Tenant, k.Kind.String(), k.ID} {
		_, _ = h.Write(append([]byte(part), 0)) // never fails
	}
	var b [16]byte
	binary.BigEndian.PutUint64(b[:], sequence>>12<<16|8<<12|sequence&0xfff)
	binary.BigEndian.PutUint64(b[8:], 2<<62|h.Sum64()>>2)
	text := hex.EncodeToString(b[:])
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// messageSequence is the sequence in a message's id, 0 for what cannot be one.
func messageSequence(id string) uint64 {
	parts := strings.Split(id, "-")
	if len(id) != 36 || len(parts) != 5 {
		return 0
	}
	b, err := hex.DecodeString(strings.Join(parts, ""))
	if err != nil || len(b) != 16 {
		return 0
	}
	high := binary.BigEndian.Uint64(b)
	return high>>16<<12 | high&0xfff
}

const messagesPath = "messages/"

// appendVolumeMessage appends a message as both of its addresses show it.
func appendVolumeMessage(dst []byte, m *volumeMessage, l *look) []byte {
	dst = appendText(append(dst, '{'), "id", m.id)
	dst = appendText(dst, "event_id", m.event)
	dst = appendText(dst, "message_level", m.level)
	dst = appendText(dst, "user_message", m.text)
	dst = appendText(dst, "request_id", m.request)
	dst = appendText(dst, "resource_type", m.kind)
	dst = appendText(dst, "resource_uuid", m.resource)
	dst = appendTime(dst, "created_at", m.created, zoneless)
	dst = appendTime(dst, "guaranteed_until", m.kept, zoneless)
	return append(appendLinks(dst, messagesPath, m.id, l), '}')
}
