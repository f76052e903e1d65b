package alert

import "time"

// pace is how long everything takes that is not the hook's own to say.
type pace struct {
	lease time.Duration // how long a lease holds that is not renewed
	renew time.Duration // between two renewals
	look  time.Duration // between two looks at what somebody else may have changed

	ackWait time.Duration // after which the server hands an event out again that nobody has said a word of
	recall  time.Duration // the same, while somebody who took over waits for what was handed out before
	again   time.Duration // after which something is tried again that the server did not do
	report  time.Duration // between two reports of the state
	grace   time.Duration // how long requests may go on once it is to end

	retries []time.Duration // from each attempt that failed to the next; after the last one there is none
	jitter  float64         // the part of it by which it may be longer or shorter

	firing   time.Duration // between two times that Alertmanager is told what is firing
	resolved time.Duration // how long it is told what is not any more
	remind   time.Duration // between two looks at what is to be told again

	strays time.Duration // between two looks at what another replica may have left in the bucket
	dead   int           // messages that a dead list may have

	flapping time.Duration // within which so many entries into ERROR are flapping
	entries  int
}

// The retries are those that the Standard Webhooks specification proposes: ten attempts over 75 hours.
var defaultPace = pace{
	lease: 10 * time.Second, renew: 3 * time.Second, look: time.Second,
	ackWait: 20 * time.Second, recall: time.Second, again: time.Second, report: 5 * time.Second, grace: 5 * time.Second,
	retries: []time.Duration{5 * time.Second, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 5 * time.Hour,
		10 * time.Hour, 14 * time.Hour, 20 * time.Hour, 24 * time.Hour},
	jitter: 0.1,
	firing: 30 * time.Second, resolved: 5 * time.Minute, remind: 30 * time.Second,
	strays: time.Minute, dead: 20_000,
	flapping: 10 * time.Minute, entries: 4,
}

const (
	answerWithin = 5 * time.Second // the server is given to answer

	maxUnsettled = 20_000    // events that are handed out and not acknowledged, and messages that are kept for another try
	maxGroup     = 10_000    // events of one message
	maxBytes     = 128 << 20 // of events in memory, beyond which no more are read
	maxRequests  = 16        // of a hook at a time
	fetchAtOnce  = 200       // events
)
