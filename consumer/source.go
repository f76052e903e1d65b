package consumer

import (
	"context"
	"encoding/json"
	"fmt"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// source is the stream as a session sees it.
type source struct {
	jetstream.Stream
	nc *nats.Conn
}

func (s source) name() string { return s.CachedInfo().Config.Name }

// stored is a message as the stream holds it.
type stored struct {
	Subject  string `json:"subject"`
	Sequence uint64 `json:"seq"`
	Data     []byte `json:"data"`
}

// message is the message of that sequence, or nil if there is none. The server says that there is none, too, where it
// fails to read it or is about to stop: nothing may follow from nil alone.
func (s source) message(ctx context.Context, seq uint64) (*stored, error) {
	return s.get(ctx, seq, map[string]any{"seq": seq})
}

// messageFrom is the first message of that sequence or a later one; of nil holds what holds above.
func (s source) messageFrom(ctx context.Context, seq uint64) (*stored, error) {
	return s.get(ctx, seq, map[string]any{"seq": seq, "next_by_subj": ">"})
}

// get asks the stream's leader. The client library would ask any replica of a stream that allows direct access, and
// that one may be behind.
func (s source) get(ctx context.Context, seq uint64, request map[string]any) (*stored, error) {
	m, err := s.request(ctx, request)
	if err != nil {
		return nil, fmt.Errorf("reading message %d of stream %s: %w", seq, s.name(), err)
	}
	return m, nil
}

func (s source) request(ctx context.Context, request map[string]any) (*stored, error) {
	body, err := json.Marshal(request)
	if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := s.nc.RequestWithContext(ctx, jetstream.DefaultAPIPrefix+"STREAM.MSG.GET."+s.name(), body)
	if err != nil {
		return nil, err
	}
	var got struct {
		Message *stored             `json:"message"`
		Error   *jetstream.APIError `json:"error"`
	}
	switch err := json.Unmarshal(answer.Data, &got); {
	case err != nil:
		return nil, fmt.Errorf("the server's answer is not understood: %w", err)
	case got.Error != nil && got.Error.ErrorCode == jetstream.JSErrCodeMessageNotFound:
		return nil, nil
	case got.Error != nil:
		return nil, got.Error
	default:
		return got.Message, nil
	}
}
