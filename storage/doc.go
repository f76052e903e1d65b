// Package storage keeps what the state machine decided: one bbolt file, one transaction a batch of the log. It knows
// the types, not the rules.
//
// Every resource gets a number at its birth, and what is kept of it lies under that number, so that the resources
// that are alive at one time share few pages:
//
//	meta                                          one key each: layout, position, counters, next, hash, clock
//	tenants   tenant                           -> tenant number, 4 bytes, from 1
//	ids       kind, id, 0, tenant number       -> number, 8 bytes, from 1
//	hot       number                           -> what events change: sequence, updated, the newest job
//	cold      number                           -> what is said once: tenant, kind, id, name, created, attributes
//	jobs      number                           -> the jobs before the newest one, and what forgotten ones left
//	history   number, sequence                 -> a transition
//	faults    number, sequence, summary        -> a fault, once, however many refer to it
//	lists     tenant number, kind, status, number -> nothing: the order of all lists
//	errors    tenant number, sequence of the fault -> number: what is in ERROR
//	messages  tenant number, sequence          -> number: transitions that brought a fault
//	counts    tenant number, kind, status      -> how many
//	rejected  sequence                         -> a rejected message
//	ages      stream time, number              -> nothing: since when a resource has something that will expire
//	unfinished number                          -> nothing: resources with a job that the watchdog watches
//	relations tenant number, relation, value, 0, kind, status, number -> nothing: who refers to what
//	groups    fingerprint                      -> what is counted of the faults with it
//	members   fingerprint, number              -> the values that a resource in ERROR is counted under
//	grouptenants fingerprint, tenant number    -> nothing: whom the group ever touched
//	shared    fingerprint, attribute, value    -> how many of the group have it
//	values    kind, attribute, value           -> how many resources that are not deleted have it
//
// Numbers are big endian in keys. In lists, errors and messages the tenant number 0 stands for all tenants. A record is
// written when it changes, once a batch, however many events changed it; a job or a transition refers to a fault by
// its sequence.
//
// One goroutine applies; any number read. A reader sees a committed batch whole or not at all, and never waits for
// the one who writes.
package storage
