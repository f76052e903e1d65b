// Package storage keeps what the state machine decided: one bbolt file, one transaction a batch of the log. It knows
// the types, not the rules.
//
// Every resource gets a number at its birth, and what is kept of it lies under that number, so that the resources
// that are alive at one time share few pages:
//
//	meta                                          one key each: layout, position, counters, next, hash, clock, behind
//	tenants   tenant                           -> tenant number, 4 bytes, from 1
//	ids       kind, id, 0, tenant number       -> number, 8 bytes, from 1
//	hot       number                           -> what events change: sequence, updated, the newest job
//	cold      number                           -> what is said once: tenant, kind, id, name, created, attributes
//	jobs      number                           -> the jobs before the newest one, and what forgotten ones left
//	history   number, sequence                 -> a transition
//	faults    number, sequence, summary        -> a fault, once, however many refer to it
//	lists     tenant number, kind, status, number / 4096 -> which of those numbers: the order of all lists
//	errors    tenant number, sequence of the fault -> number: what is in ERROR
//	messages  tenant number, sequence          -> number: transitions that brought a fault
//	rejected  sequence                         -> a rejected message
//	ages      minute of the stream's time, number / 4096 -> which of those numbers: since when they have something that will expire
//	unfinished number / 4096                   -> which of those numbers: resources with a job that the watchdog watches
//	relations tenant number, relation, value, 0, kind, status, number -> nothing: who refers to what
//	groups    fingerprint                      -> what is counted of the faults with it
//	members   fingerprint, number              -> the values that a resource in ERROR is counted under
//	grouptenants fingerprint, tenant number    -> nothing: whom the group ever touched
//	shared    fingerprint, attribute, value    -> how many of the group have it
//	values    kind, attribute, value           -> how many resources that are not deleted have it
//	outbox    sequence                         -> what is to be told of an event, with the resource as it was then
//	epochs    epoch number, from 0             -> the position at which an epoch of the stream ended
//	gaps      epoch number, first sequence in the stream -> a run of messages that were gone
//
// A sequence is the message's in its stream, counted on over the epochs, but where the stream's own is named. The
// outbox, the epochs and the gaps are no part of the state that the hash is of.
//
// Numbers are big endian in keys. In lists, errors and messages the tenant number 0 stands for all tenants. A record is
// written when it changes, once a batch, however many events changed it; a job or a transition refers to a fault by
// its sequence.
//
// Every value, also an empty one, ends with 4 bytes of a checksum over the table, the key and the value, and every read
// verifies it. bbolt's pages have none; when a file is opened all of them are read once, and their lengths, order and
// use are verified before bbolt believes them (see structure.go). Where an index leads to a record, that must be as
// the index says. What does not fit is an [ErrCorrupt]: of the read that met it, of [Open], or of [DB.Apply], after
// which nothing more is applied. If the newest of bbolt's two meta pages is damaged, the file is as it was one commit
// before, and the log is read on from there.
//
// [Check] alone finds what is whole by itself and missing elsewhere: a page that a disk lost the newest version of, so
// that an older one stands there whose entries all fit. A list may then lack a resource, a history a row, a count a
// change. It finds that by the state hash, and by looking for each record in all indexes. And while a file is open
// its pages are believed: one that is changed then is met by its checksums, or panics in bbolt, which becomes an
// error; but if its references lead in a circle, nothing stops bbolt from following them.
//
// One goroutine applies; any number read. A reader sees a committed batch whole or not at all, and never waits for
// the one who writes.
package storage
