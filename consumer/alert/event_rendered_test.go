package alert_test

import (
	"encoding/json"
	"testing"
	"time"

	"faultd/api"
	"faultd/consumer/alert"
	sm "faultd/statemachine"
)

// What /v1 shows of a resource is what an event of it is read from.
func TestParseEvent_Rendered(t *testing.T) {
	at := sm.At(time.Date(2026, 11, 21, 12, 0, 0, 0, time.UTC))
	for _, kind := range sm.Kinds {
		r := sm.Resource{Key: sm.Key{Tenant: "1234", Kind: kind, ID: "r-1"}, Name: "web\x1b", Created: at, Updated: at, Attributes: sm.Attributes(`{"hostId":"e4d9"}`)}
		r.Fault = &sm.Fault{Created: at, Code: 404, Message: "Image 7 not found", Details: "<a&b>", Reason: "IMAGE_NOT_FOUND", ErrorCode: "131"}
		r.Status = sm.Error
		body, err := json.Marshal(map[string]any{
			"specversion": "1.0", "type": "io.faultd.v1.fault.raised", "source": "faultd", "id": "e-1", "time": "2026-11-21T12:00:00Z",
			"data": map[string]any{"resource": json.RawMessage(api.Render(&r, false)), "fault": json.RawMessage(api.RenderFault(r.Fault)), "previous_status": "BUILD"},
		})
		if err != nil {
			t.Fatal(err)
		}
		e, err := alert.ParseEvent(body)
		if err != nil {
			t.Fatal(err)
		}
		d := sm.Diagnose(&r, 0, r.Fault, false)
		if e.Kind != kind.String() || e.Name != "web" || e.Cause != d.Cause.String() || e.Fingerprint != d.Fingerprint || e.Code != 404 || e.ErrorCode != "131" || e.Previous != "BUILD" {
			t.Errorf("%+v", e)
		}
		if m := (&alert.Match{Raised: true, Causes: []string{d.Cause.String()}, Kinds: []string{kind.String()}}); !m.Wants(&e) {
			t.Errorf("%s is not wanted", kind)
		}
	}
}
