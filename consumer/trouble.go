package consumer

import "fmt"

// aside is the way out that there always is.
const aside = "or put the store aside and start with an empty one, which begins at the stream's first message"

func gap(name string, from, to uint64) *trouble {
	return &trouble{
		state: Gap,
		fact:  fmt.Sprintf("messages %d to %d of %s were gone before they were read (aged out, purged or deleted), and nothing behind them is applied", from, to, name),
		ways: ": on a stream with replicas let another server lead, which may still have them (nats stream cluster step-down " + name + "); " +
			"else bring the stream back from a copy that has them; or start with --on-gap=continue, which records them as a gap and goes on " +
			"behind it (what they told stays unknown until later events tell it); " + aside,
	}
}

func rewound(format string, args ...any) *trouble {
	return &trouble{
		state: Rewound,
		fact:  fmt.Sprintf(format, args...),
		ways: ": bring that stream back; or start with --on-rewind=new-epoch, which reads the stream that is there from its first message " +
			"(what was applied before is recognised by job and phase, what was only in the lost part stays in the store); " + aside,
		anew: true,
	}
}

// doubtful is a rewind that is not certain yet.
func (t *trouble) doubtful() *trouble {
	return &trouble{state: t.state, fact: t.fact, ways: "; a new epoch begins if that is still so in a while"}
}

func renamed(name, was string) *trouble {
	return &trouble{
		state: Rewound,
		fact:  fmt.Sprintf("the store follows stream %s, not %s", was, name),
		ways:  fmt.Sprintf(": start with --stream %s; ", was) + aside,
	}
}

func missing(name string) *trouble {
	return &trouble{
		state: StreamMissing,
		fact:  fmt.Sprintf("stream %s is gone, and the store holds what was applied of it", name),
		ways:  ": bring it back from a copy; or put the store aside and start with an empty one, which makes the stream anew",
	}
}

func full(err error) *trouble {
	return &trouble{state: StoreFull, fact: err.Error(), ways: "; nothing more is applied until there is, and then all goes on by itself"}
}
