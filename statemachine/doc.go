// Package statemachine decides. A resource is a pure function of the events in the log: [Apply] takes what is
// known of a resource and the next event, and returns what is known after it and what became of the event. It
// knows no clock, no store and no network.
//
// A resource's status is not moved from event to event. It is read off its jobs, oldest first: each job turns the
// status that stands without it into another, by its action, its phase and the one table ([Next]). So it makes no
// difference in which order the events of two jobs arrive, a job that ends late behind a newer one changes nothing,
// and a cancelled job is one that was never there.
package statemachine
