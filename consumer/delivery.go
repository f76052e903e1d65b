package consumer

import (
	"fmt"
	"strconv"
	"strings"

	"faultd/statemachine"
)

// delivery is what JetStream says of a message that it delivers.
type delivery struct {
	sequence   uint64 // in the stream
	number     uint64 // of the delivery, from 1
	streamTime statemachine.Time
	pending    uint64 // messages that wait in the stream behind it
}

// parseDelivery reads the reply subject of a message:
//
//	$JS.ACK.STREAM.CONSUMER.attempt.sequence.number.time.pending
//	$JS.ACK.DOMAIN.ACCOUNT.STREAM.CONSUMER.attempt.sequence.number.time.pending[.token]
//
// Which of them depends on the server. It is what jetstream.Msg's Metadata reads, without the texts and the object that make
// that one cost a message 3 % of all that is done for it.
func parseDelivery(reply string) (d delivery, err error) {
	rest, ok := strings.CutPrefix(reply, "$JS.ACK.")
	before := 3
	switch dots := strings.Count(rest, "."); {
	case dots == 8 || dots == 9:
		before = 5
	case dots != 6:
		ok = false
	}
	for range before {
		_, rest, _ = strings.Cut(rest, ".")
	}
	var numbers [4]uint64
	for i := range numbers {
		var text string
		text, rest, _ = strings.Cut(rest, ".")
		n, err := strconv.ParseUint(text, 10, 63)
		ok = ok && err == nil
		numbers[i] = n
	}
	if !ok {
		return d, fmt.Errorf("a message came with the reply subject %.200q, which is none of JetStream's", reply)
	}
	return delivery{sequence: numbers[0], number: numbers[1], streamTime: statemachine.Time(numbers[2]), pending: numbers[3]}, nil
}
