//go:build campaign

package mutants

import "slices"

// mutant is a bug: what it replaces in a file, and the tests that must notice.
type mutant struct {
	name     string
	file     string // from the top of the repository
	old, new string // old stands in the file once
	test     string // arguments of go test
}

// mutants are all bugs.
var mutants = slices.Concat(ofTheMachine, ofTheStore, ofTheStream, ofTheHooks)

// The rules of the design, each broken.
var ofTheMachine = []mutant{
	{"fold drops a transition that changes no status", "statemachine/apply.go",
		`if !moved && !failed {`, `if !moved {`, "./statemachine"},
	{"the older of two jobs decides", "statemachine/resource.go",
		`return j.Began < k.Began || j.Began == k.Began && j.BeganSeq < k.BeganSeq`,
		`return j.Began > k.Began || j.Began == k.Began && j.BeganSeq < k.BeganSeq`, "./statemachine"},
	{"an event's time may be in the future", "statemachine/apply.go",
		`e.Time = min(claimed, e.StreamTime)`, `e.Time = claimed`, "./statemachine"},
	{"a deadline ends a job that has moved on", "statemachine/job.go",
		`if j.Phase.End() || e.After != j.LastSeq {`, `if j.Phase.End() {`, "./statemachine"},
	{"a second end replaces the first", "statemachine/job.go",
		`if j.Phase.End() && !j.timedOut() {
		return again`, `if j.Phase.End() && j.Phase == e.Phase {
		return again`, "./statemachine"},
	{"progress falls", "statemachine/job.go",
		`alive := e.Phase == PhaseProgressed && (e.Progress > j.Progress || latest)`,
		`alive := e.Phase == PhaseProgressed`, "./statemachine"},
	{"a provider's failure is outweighed by the job's success", "statemachine/job.go",
		`if said == PhaseSucceeded && failed {`, `if said == PhaseSucceeded && failed && !j.ByTime && false {`, "./statemachine"},
	{"a failed attempt that comes twice counts twice", "statemachine/job.go",
		`if slices.ContainsFunc(j.Marks, func(m Mark) bool { return m.ID == id }) {
		return Duplicate
	}
	full`, `full`, "./statemachine"},
	{"what is deleted comes back by a reboot", "statemachine/table.go",
		`if r == nil || from == Deleted && !r.creates {`, `if r == nil {`, "./statemachine"},
	{"a forgotten job begins anew", "statemachine/apply.go",
		`return e.Time <= r.horizon() || len(r.Past.Gone) > 0 && slices.Contains(r.Past.Gone, digest(e.Job, e.Action))`,
		`return false`, "./statemachine"},
}
