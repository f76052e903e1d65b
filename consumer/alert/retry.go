package alert

import (
	"errors"
	"math/rand/v2"
	"time"
)

// attempts is how often a message is tried.
func (p *pace) attempts() int { return len(p.retries) + 1 }

// delay is how long to wait after so many attempts, the last of which failed with that error. The jitter keeps what failed
// together from coming together again. A receiver that asks for more time has it.
func (p *pace) delay(attempts int, err error) time.Duration {
	d := p.retries[min(attempts, len(p.retries))-1]
	if spread := time.Duration(float64(d) * p.jitter); spread > 0 {
		d += rand.N(2*spread) - spread
	}
	var asked *later
	if errors.As(err, &asked) {
		d = max(d, asked.After)
	}
	return d
}

// agenda is what is to be done when its time has come. One goroutine uses it; it is a heap.
type agenda []task

type task struct {
	at time.Time
	do func()
}

func (a agenda) Len() int           { return len(a) }
func (a agenda) Less(i, j int) bool { return a[i].at.Before(a[j].at) }
func (a agenda) Swap(i, j int)      { a[i], a[j] = a[j], a[i] }
func (a *agenda) Push(x any)        { *a = append(*a, x.(task)) }
func (a *agenda) Pop() any {
	last := (*a)[len(*a)-1]
	(*a)[len(*a)-1] = task{}
	*a = (*a)[:len(*a)-1]
	return last
}
