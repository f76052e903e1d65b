// Package scenarios is the corpus of stories that every floor of faultd is tested with: the machine alone, the
// machine with the store, and the whole daemon.
//
// A story is a text file. A line is an event and what must be seen after it:
//
//	SECOND KIND/ID ACTION JOB PHASE [key=value]... -> STATUS [reason] [key=value]...
//
// SECOND is the event's time; events arrive in the order of the lines, one each second from second 1000 on. Left
// of the arrow the keys are tenant, progress, code, message, details, reason, provider, providers (by comma), name,
// attributes, id (of the event, so that a line can repeat another), after. Right of it: reason (why the event was
// ignored or rejected) stands alone, and the keys are progress, code, message, warning (its message), job, attempts
// (how many failed), history (how many lines), provider.NAME (its phase). "-" as STATUS means that there is no such
// resource. Values with blanks are quoted. A line that begins with # is a remark.
package scenarios

import (
	"embed"
	"fmt"
	"hash/fnv"
	"io/fs"
	"strconv"
	"strings"

	"faultd/statemachine"
)

//go:embed *.txt
var files embed.FS

// Story is one file of the corpus.
type Story struct {
	Name  string
	Steps []Step
}

// Step is one line: an event, and what must be seen after it.
type Step struct {
	Line   int
	ID     string // of the event
	Event  statemachine.Event
	Status string
	Reason string
	Want   map[string]string
}

// base is the stream's time of second 0.
const base = statemachine.Time(1_790_000_000_000_000_000)

// Load reads the corpus; it panics on a file that does not follow the form.
func Load() (all []Story) {
	names, err := fs.Glob(files, "*.txt")
	if err != nil {
		panic(err)
	}
	for _, name := range names {
		text, err := files.ReadFile(name)
		if err != nil {
			panic(err)
		}
		story := Story{Name: strings.TrimSuffix(name, ".txt")}
		for i, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" || line[0] == '#' {
				continue
			}
			step, err := parse(line, len(story.Steps)+1)
			if err != nil {
				panic(fmt.Errorf("%s:%d: %w", name, i+1, err))
			}
			step.Line = i + 1
			story.Steps = append(story.Steps, step)
		}
		all = append(all, story)
	}
	return all
}

func parse(line string, sequence int) (s Step, err error) {
	words, err := split(line)
	if err != nil {
		return s, err
	}
	if len(words) < 7 {
		return s, fmt.Errorf("an event needs time, resource, action, job, phase and what follows")
	}
	second, err := strconv.Atoi(words[0])
	if err != nil {
		return s, err
	}
	kind, id, _ := strings.Cut(words[1], "/")
	e := statemachine.Event{Sequence: uint64(sequence), Time: base + statemachine.Time(second)*1e9,
		StreamTime: base + statemachine.Time(1000+sequence)*1e9, Job: words[3], Progress: -1}
	e.Tenant, e.ID = "1234", 0
	e.Key.ID = id
	var ok [3]bool
	e.Kind, ok[0] = statemachine.ParseKind(kind)
	e.Action, ok[1] = statemachine.ParseAction(words[2])
	e.Phase, ok[2] = statemachine.ParsePhase(words[4])
	if ok != [3]bool{true, true, true} {
		return s, fmt.Errorf("unknown kind, action or phase in %q", line)
	}
	s.ID = fmt.Sprintf("e-%d", sequence)
	i := 5
	for ; i < len(words) && words[i] != "->"; i++ {
		key, value, _ := strings.Cut(words[i], "=")
		if err := s.set(&e, key, value); err != nil {
			return s, err
		}
	}
	h := fnv.New64a()
	h.Write([]byte(s.ID))
	e.ID = h.Sum64()
	if e.Fault != nil {
		e.Fault.Sequence, e.Fault.Created = e.Sequence, e.Time
	}
	s.Event = e
	return s, s.expect(words[min(i+1, len(words)):])
}

func (s *Step) set(e *statemachine.Event, key, value string) (err error) {
	fault := func() *statemachine.Fault {
		if e.Fault == nil {
			e.Fault = &statemachine.Fault{Code: 500, Message: "it failed"}
		}
		return e.Fault
	}
	var n int
	switch key {
	case "progress", "code", "after":
		if n, err = strconv.Atoi(value); err != nil {
			return err
		}
	}
	switch key {
	case "tenant":
		e.Tenant = value
	case "progress":
		e.Progress = int8(n)
	case "after":
		e.After = uint64(n)
	case "code":
		fault().Code = n
	case "message":
		fault().Message = value
	case "details":
		fault().Details = value
	case "reason":
		fault().Reason = value
	case "provider":
		e.Provider = value
	case "providers":
		e.Providers = strings.Split(value, ",")
	case "name":
		e.Name = value
	case "attributes":
		e.Attributes = []byte(value)
	case "id":
		s.ID = value
	default:
		return fmt.Errorf("unknown key %q of an event", key)
	}
	return nil
}

func (s *Step) expect(words []string) error {
	if len(words) == 0 {
		return fmt.Errorf("no status behind ->")
	}
	s.Status, s.Want = words[0], map[string]string{}
	for _, w := range words[1:] {
		key, value, found := strings.Cut(w, "=")
		if !found {
			s.Reason = w
			continue
		}
		s.Want[key] = value
	}
	return nil
}

// split cuts a line at blanks outside of double quotes.
func split(line string) (words []string, err error) {
	var word strings.Builder
	quoted, inWord := false, false
	for _, r := range line {
		switch {
		case r == '"':
			quoted, inWord = !quoted, true
		case (r == ' ' || r == '\t') && !quoted:
			if inWord {
				words = append(words, word.String())
			}
			word.Reset()
			inWord = false
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	if quoted {
		return nil, fmt.Errorf("a quote is not closed")
	}
	if inWord {
		words = append(words, word.String())
	}
	return words, nil
}

// Check compares a resource with what the step says of it, and returns what differs. history is the number of lines
// of the resource's history.
func (s *Step) Check(r *statemachine.Resource, history int) (wrong []string) {
	status := r.Status.String()
	if r.Status == 0 {
		status = "-"
	}
	if status != s.Status {
		wrong = append(wrong, fmt.Sprintf("status is %s, not %s", status, s.Status))
	}
	for key, want := range s.Want {
		if got := look(r, history, key); got != want {
			wrong = append(wrong, fmt.Sprintf("%s is %q, not %q", key, got, want))
		}
	}
	return wrong
}

func look(r *statemachine.Resource, history int, key string) string {
	job, fault := r.Job(), r.Fault
	if fault == nil {
		fault = &statemachine.Fault{}
	}
	if job == nil {
		job = &statemachine.Job{}
	}
	if name, ok := strings.CutPrefix(key, "provider."); ok {
		for _, p := range job.Providers {
			if p.Name == name {
				return p.Phase.String()
			}
		}
		return ""
	}
	switch key {
	case "progress":
		return strconv.Itoa(r.Progress())
	case "code":
		return strconv.Itoa(fault.Code)
	case "message":
		return fault.Message
	case "warning":
		if w := r.Warning(); w != nil {
			return w.Message
		}
		return ""
	case "job":
		return job.ID
	case "attempts":
		return strconv.Itoa(job.Failures)
	case "history":
		return strconv.Itoa(history)
	case "name":
		return r.Name
	case "attributes":
		return string(r.Attributes)
	}
	return "unknown key " + key
}
