package consumer

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"github.com/rs/zerolog"

	"faultd/statemachine"
)

// FaultsStream is the stream that faults are told on.
const FaultsStream = "FAULTS"

// DefaultFaultsMaxBytes limits the stream of faults, where it is made and the configuration names no limit.
const DefaultFaultsMaxBytes = 1 << 30

const faultsSubjects = "faults.>"

// minFaultBytes is what a fault may need once all is cut from it that can be.
const minFaultBytes = 32 << 10

// errMoved is returned when the stream does not end where it was seen to end: somebody else has written to it.
var errMoved = errors.New("the stream has moved on")

// The server's errors for a message, or the first one of a batch, that expects another last sequence.
const (
	codeWrongLast      = 10071
	codeWrongLastBatch = 10164
)

// faults is the stream of faults as whoever publishes to it sees it. One goroutine uses it.
type faults struct {
	nc       *nats.Conn
	js       jetstream.JetStream
	maxBytes int64
	log      zerolog.Logger

	limit  int    // bytes that a message may have
	last   uint64 // sequence of the stream's newest message, which the next one must follow
	singly bool   // there are no atomic batches
}

// mark is what a message of the stream says of the job event that it tells of.
type mark struct {
	at         uint64 // sequence of the message itself, in the stream of faults; 0: nothing is known
	epoch      statemachine.Time
	sequence   uint64
	streamTime statemachine.Time
}

// covers tells whether the row, and all before it, were told by the time the mark was made. The stream time tells
// the events of a stream from those that had their sequences before it was rewound. Where nothing is certain, it is
// not: what is told twice has one id, what is never told is lost.
func (m *mark) covers(row *statemachine.Telling) bool {
	return m.at > row.Behind && m.epoch == row.Epoch && m.sequence >= row.Sequence && m.streamTime >= row.StreamTime
}

// open finds the stream or makes it, and returns the mark of its last message. An existing stream is left as it is.
func (f *faults) open(ctx context.Context) (mark, error) {
	stream, err := f.js.Stream(ctx, FaultsStream)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		stream, err = f.create(ctx)
	}
	if err != nil {
		return mark{}, fmt.Errorf("looking for stream %s: %w", FaultsStream, err)
	}
	info := stream.CachedInfo()
	if !slices.ContainsFunc(info.Config.Subjects, func(has string) bool { return covers(has, faultsSubjects) }) {
		return mark{}, fmt.Errorf("stream %s has the subjects [%s] and not %s: %w; add it (nats stream edit %s), or delete the stream, which is made anew then",
			FaultsStream, strings.Join(info.Config.Subjects, ", "), faultsSubjects, ErrSubjects, FaultsStream)
	}
	f.limit, f.singly = int(f.nc.MaxPayload()), !info.Config.AllowAtomicPublish
	if own := int(info.Config.MaxMsgSize); own > 0 {
		f.limit = min(f.limit, own)
	}
	if f.limit < minFaultBytes {
		return mark{}, fmt.Errorf("%w: it takes messages of %d bytes, and a fault may need %d: raise the server's max_payload, and the stream's own limit if it has one",
			errTooSmall, f.limit, minFaultBytes)
	}
	m, err := f.newest(ctx)
	f.last = max(info.State.LastSeq, m.at)
	return m, err
}

// errTooSmall is returned when the server's limit for a message is too low for any fault to be sure to pass.
var errTooSmall = errors.New("stream " + FaultsStream + " is of no use")

func (f *faults) create(ctx context.Context) (jetstream.Stream, error) {
	stream, err := f.js.CreateStream(ctx, jetstream.StreamConfig{
		Name:               FaultsStream,
		Description:        "faults that faultd tells: raised and cleared",
		Subjects:           []string{faultsSubjects},
		Storage:            jetstream.FileStorage,
		MaxBytes:           f.maxBytes,
		Discard:            jetstream.DiscardOld,
		AllowAtomicPublish: true,
	})
	if errors.Is(err, jetstream.ErrStreamNameAlreadyInUse) {
		return f.js.Stream(ctx, FaultsStream) // another faultd was faster
	}
	if err == nil {
		f.log.Info().Str("stream", FaultsStream).Int64("max_bytes", f.maxBytes).Msg("stream made")
	}
	return stream, err
}

// newest reads the stream's last message, from the leader: a replica might lag behind, and what was told would be
// told again. The client library asks any replica where the stream allows that. A message that is not faultd's says
// nothing.
func (f *faults) newest(ctx context.Context) (mark, error) {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	answer, err := f.nc.RequestWithContext(ctx, "$JS.API.STREAM.MSG.GET."+FaultsStream, []byte(`{"last_by_subj":">"}`))
	if err != nil {
		return mark{}, fmt.Errorf("reading the last message of stream %s: %w", FaultsStream, err)
	}
	var said struct {
		Error   *jetstream.APIError `json:"error"`
		Message struct {
			Sequence uint64 `json:"seq"`
			Header   []byte `json:"hdrs"`
		} `json:"message"`
	}
	if err := json.Unmarshal(answer.Data, &said); err != nil {
		return mark{}, fmt.Errorf("reading the last message of stream %s: the server's answer is not understood: %w", FaultsStream, err)
	}
	if e := said.Error; e != nil {
		if e.ErrorCode == jetstream.JSErrCodeMessageNotFound {
			return mark{}, nil
		}
		return mark{}, fmt.Errorf("reading the last message of stream %s: %w", FaultsStream, e)
	}
	m := mark{at: said.Message.Sequence}
	header, err := nats.DecodeHeadersMsg(said.Message.Header)
	if err == nil {
		m.parse(header)
	}
	return m, nil
}

// The headers that say which job event a fault came with.
const (
	headerPosition   = "Faultd-Position" // stream/epoch/sequence
	headerStreamTime = "Faultd-Stream-Time"
)

// writeMark puts the mark of a row into a message's headers.
func writeMark(header nats.Header, stream string, row *statemachine.Telling) {
	header.Set(headerPosition, stream+"/"+rfc3339(row.Epoch)+"/"+strconv.FormatUint(row.Sequence, 10))
	header.Set(headerStreamTime, rfc3339(row.StreamTime))
}

func rfc3339(t statemachine.Time) string { return t.Std().Format(time.RFC3339Nano) }

// parse reads what [writeMark] wrote; without it, or from anything else, the mark covers nothing.
func (m *mark) parse(header nats.Header) {
	parts := strings.Split(header.Get(headerPosition), "/")
	if len(parts) != 3 {
		return
	}
	epoch, err1 := time.Parse(time.RFC3339Nano, parts[1])
	sequence, err2 := strconv.ParseUint(parts[2], 10, 64)
	at, err3 := time.Parse(time.RFC3339Nano, header.Get(headerStreamTime))
	if errors.Join(err1, err2, err3) != nil {
		return
	}
	m.epoch, m.sequence, m.streamTime = statemachine.At(epoch), sequence, statemachine.At(at)
}

// publish publishes messages behind the last one, in order, and returns how many of them, from the first on, are
// acknowledged. It stops at the first error; what became of the next message, or batch, is unknown then, and the
// stream is to be opened again. [errMoved] is one of the errors.
func (f *faults) publish(ctx context.Context, msgs []*nats.Msg) (stored int, err error) {
	if len(msgs) > 1 && !f.singly {
		return f.publishBatch(ctx, msgs)
	}
	for _, m := range msgs {
		if err := f.publishOne(ctx, m); err != nil {
			return stored, err
		}
		stored++
	}
	return stored, nil
}

// publishBatch publishes all messages or none. A server that has turned out to be too old for batches stores the first.
func (f *faults) publishBatch(ctx context.Context, msgs []*nats.Msg) (stored int, err error) {
	msgs[0].Header.Set(jetstream.ExpectedStreamHeader, FaultsStream)
	msgs[0].Header.Set(jetstream.ExpectedLastSeqHeader, strconv.FormatUint(f.last, 10))
	ack, stored, err := sendAtomic(ctx, f.nc, msgs, answerWithin)
	switch {
	case err != nil:
		return 0, f.refusal(err)
	case stored < len(msgs):
		return stored, fmt.Errorf("%w: it takes no batches", errMoved)
	default:
		f.last = ack.Sequence
		return stored, nil
	}
}

func (f *faults) publishOne(ctx context.Context, m *nats.Msg) error {
	ctx, cancel := context.WithTimeout(ctx, answerWithin)
	defer cancel()
	ack, err := f.js.PublishMsg(ctx, m, jetstream.WithExpectStream(FaultsStream), jetstream.WithExpectLastSequence(f.last))
	if err != nil {
		return f.refusal(err)
	}
	f.last = ack.Sequence
	return nil
}

func (f *faults) refusal(err error) error {
	var refused *jetstream.APIError
	if errors.As(err, &refused) && (refused.ErrorCode == codeWrongLast || refused.ErrorCode == codeWrongLastBatch) {
		return fmt.Errorf("%w: %w", errMoved, err)
	}
	return fmt.Errorf("publishing to stream %s: %w", FaultsStream, err)
}
