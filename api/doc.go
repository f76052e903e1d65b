// Package api answers: a read-only HTTP API in the dialects of the systems that faultd follows, and one of its own.
//
// A request takes the same way whatever it asks for. [Handler] gives it an id and notes the position of the store,
// splits the raw path, finds the mount by the first segment and lets the mount route the rest over its table. What a
// handler finds it renders with pure functions and replies with in one piece; what goes wrong it returns as an error.
// One place turns errors into a [problem], and the mount's dialect says how that looks.
//
// Nothing is sent to a client while the store is being read.
package api
