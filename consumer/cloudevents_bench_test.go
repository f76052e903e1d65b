package consumer

import (
	"testing"

	"faultd/statemachine"
)

// A job event as producers send it by the million, and one of those that say why a job failed.
const (
	typicalEvent = `{"specversion":"1.0","type":"io.faultd.v1.job.started","source":"builder-7","id":"e-000041","time":"2026-11-21T02:00:00.123Z","datacontenttype":"application/json","data":{"job":{"id":"b-41","action":"build","request_id":"req-7d5a8f3c-52b0-4c11-9e0a-1f6f1f0c9b11"},"resource":{"kind":"server","id":"52415800-8b69-11e0-9b19-734f0000ffff","tenant_id":"1234","user_id":"5678","name":"sample-server","attributes":{"flavor":{"id":"1"},"hostId":"e4d909c290d0"}},"progress":66}}`
	failedEvent  = `{"specversion":"1.0","type":"io.faultd.v1.job.failed","source":"builder-7","id":"e-000042","time":"2026-11-21T02:00:01Z","data":{"job":{"id":"b-41","action":"build"},"resource":{"kind":"server","id":"52415800-8b69-11e0-9b19-734f0000ffff","tenant_id":"1234"},"fault":{"code":404,"message":"Could not find image 52415800","details":"looked in three stores","reason":"IMAGE_NOT_FOUND"}}}`

	eventSubject = "jobs.1234.server.52415800-8b69-11e0-9b19-734f0000ffff."
)

func BenchmarkDecode_CloudEvent(b *testing.B) {
	for _, c := range []struct{ name, phase, data string }{
		{"started", "started", typicalEvent},
		{"failed", "failed", failedEvent},
	} {
		b.Run(c.name, func(b *testing.B) {
			m := Message{Subject: eventSubject + c.phase, Data: []byte(c.data), Sequence: 1, StreamTime: 1,
				Header: map[string][]string{"Nats-Msg-Id": {"builder-7/e-000041"}}}
			b.SetBytes(int64(len(m.Data)))
			b.ReportAllocs()
			var e statemachine.Entry
			for b.Loop() {
				e = Decode(m)
			}
			if e.Reason != 0 {
				b.Fatalf("rejected: %s", e.Detail)
			}
		})
	}
}
