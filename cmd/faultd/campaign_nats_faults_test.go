//go:build campaign

package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"faultd/testdata/campaign"
)

var natsFaults = []natsFault{
	{"leader killed", true, (*siege).killLeader},
	{"all killed", false, (*siege).killAllServers},
	{"stopped", false, (*siege).stopServers},
	{"step-down", false, (*siege).stepDown},
	{"purge", false, (*siege).purge},
	{"delete in the middle", true, (*siege).deleteSome},
	{"stream deleted", false, (*siege).deleteStream},
	{"made anew", false, (*siege).makeAnew},
	{"rewound to a copy", false, (*siege).rewind},
	{"byte flipped", false, (*siege).flipByte},
	{"consumer deleted", true, (*siege).deleteConsumers},
	{"credentials changed", true, (*siege).changeCredentials},
	{"subject denied", false, (*siege).denySubject},
}

// killLeader kills the server that leads the stream, and starts it again when another leads.
func (s *siege) killLeader() int {
	s.Helper()
	was := s.leader("JOBS")
	s.kill(was)
	until(s, "another leads", func(context.Context) bool { return s.leader("JOBS") != was })
	s.more(300)
	s.start(was)
	return 1
}

// killAllServers kills all of them at once, and starts them again.
func (s *siege) killAllServers() int {
	s.Helper()
	s.killAll()
	until(s, "the daemon is without a server", func(context.Context) bool { return s.saw("DISCONNECTED") })
	s.startAll()
	s.more(300)
	return len(s.nodes)
}

// stopServers stops the leader, all servers, or that one to which the daemon is connected, for fifteen seconds: their
// connections stand, and nothing comes.
func (s *siege) stopServers() int {
	s.Helper()
	stopped := []*node{s.leader("JOBS")}
	if s.round%3 == 1 {
		stopped = s.nodes
	} else if s.round%3 == 2 {
		stopped = []*node{s.leader("FAULTS")}
	}
	for _, n := range stopped {
		s.signal(n, syscall.SIGSTOP)
	}
	time.Sleep(15 * time.Second)
	hits := 0
	for _, n := range stopped {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", n.process.Process.Pid))
		if err == nil && bytes.Contains(stat, []byte(") T ")) {
			hits++
		}
		s.signal(n, syscall.SIGCONT)
	}
	s.more(300)
	return hits
}

// stepDown has both streams change their leaders every two seconds.
func (s *siege) stepDown() (hits int) {
	s.Helper()
	for range 5 {
		for _, stream := range []string{"JOBS", "FAULTS"} {
			was := s.leader(stream)
			if _, err := s.conn.Request("$JS.API.STREAM.LEADER.STEPDOWN."+stream, nil, 5*time.Second); err != nil {
				s.Logf("%s: %v", stream, err)
				continue
			}
			until(s, "another leads", func(context.Context) bool { return s.leader(stream) != was })
			hits++
		}
		time.Sleep(2 * time.Second)
	}
	return hits
}

// unread ends the daemon and publishes events that it has not seen. It returns the sequences of the first and the last.
func (s *siege) unread(events int) (from, to uint64) {
	s.Helper()
	s.still()
	if !s.process.Kill() {
		s.Fatal("the daemon has ended by itself")
	}
	var ledger campaign.Ledger
	if err := ledger.PublishAll(s.Context(), s.url(adminLogin), "JOBS", s.load.Next(events)); err != nil {
		s.Fatal(err)
	}
	s.settled("JOBS")
	s.total += ledger.Len()
	return s.model.Position.Sequence + 1, s.info("JOBS").State.LastSeq
}

// behindGap starts the daemon, which must refuse to go over the gaps, and then has it do so.
func (s *siege) behindGap(gaps ...[2]uint64) {
	s.Helper()
	s.serve()
	s.refuses("GAP", fmt.Sprintf("messages %d to %d of JOBS", gaps[0][0], gaps[0][1]), "--on-gap=continue")
	s.gaps = append(s.gaps, gaps...)
	s.again("--on-gap=continue")
	s.ready()
}

// purge empties the stream of messages that were not read; before, it takes away some that were.
func (s *siege) purge() int {
	s.Helper()
	stream, err := s.js.Stream(s.Context(), "JOBS")
	if err != nil {
		s.Fatal(err)
	}
	s.still()
	if err := stream.Purge(s.Context(), jetstream.WithPurgeSequence(s.model.Position.Sequence/2)); err != nil {
		s.Fatal(err)
	}
	from, to := s.unread(2000)
	var left uint64 // messages that the purge leaves
	if s.round%2 == 1 {
		left = 500
	}
	if err := stream.Purge(s.Context(), jetstream.WithPurgeSequence(to-left+1)); err != nil {
		s.Fatal(err)
	}
	s.settled("JOBS")
	s.behindGap([2]uint64{from, to - left})
	s.publish()
	return 2
}

// deleteSome deletes messages that were read and some, here and there, that were not.
func (s *siege) deleteSome() (hits int) {
	s.Helper()
	from, to := s.unread(1000)
	doomed := []uint64{from / 3, from - 1}
	var gaps [][2]uint64
	for at := from + uint64(s.random.IntN(300)); at < to; at += 2 + uint64(s.random.IntN(300)) {
		end := min(at+uint64(s.random.IntN(5)), to-1)
		gaps = append(gaps, [2]uint64{at, end})
		for ; at <= end; at++ {
			doomed = append(doomed, at)
		}
	}
	stream, err := s.js.Stream(s.Context(), "JOBS")
	if err != nil {
		s.Fatal(err)
	}
	for _, sequence := range doomed {
		until(s, "a message is deleted", func(ctx context.Context) bool {
			err := stream.DeleteMsg(ctx, sequence)
			return err == nil || errors.Is(err, jetstream.ErrMsgDeleteUnsuccessful)
		})
	}
	s.behindGap(gaps...)
	s.publish()
	return len(doomed)
}

// inNewEpoch waits until the daemon refuses what it takes for another stream, and then has it begin with that one.
func (s *siege) inNewEpoch() {
	s.Helper()
	s.refuses("REWOUND", "JOBS", "--on-rewind=new-epoch")
	s.again("--on-rewind=new-epoch")
	s.ready()
}

// deleteStream deletes the stream and leaves the daemon without one for a while.
func (s *siege) deleteStream() int {
	s.Helper()
	s.still()
	s.removeStream("JOBS")
	s.refuses("STREAM_MISSING", "stream JOBS is gone")
	s.again("--on-rewind=new-epoch", "--on-gap=continue")
	s.refuses("STREAM_MISSING", "stream JOBS is gone")
	s.again()
	s.makeJobs()
	s.publish()
	s.more(100)
	s.inNewEpoch()
	return 1
}

// makeAnew puts an empty stream in the place of the one that was, while the daemon reads.
func (s *siege) makeAnew() int {
	s.Helper()
	s.still()
	s.removeStream("JOBS")
	s.makeJobs()
	s.publish()
	s.more(100)
	s.inNewEpoch()
	return 1
}

// rewind brings the stream back to what it was some time before, from a copy of the servers' files.
func (s *siege) rewind() int {
	s.Helper()
	s.still()
	s.shutDown()
	kept := s.TempDir()
	for _, n := range s.nodes {
		s.copyFiles(filepath.Join(s.dir, n.name), filepath.Join(kept, n.name))
	}
	s.startAll()
	s.publish()
	s.more(1000)
	s.still()
	ends := s.model.Position.Sequence
	s.shutDown()
	for _, n := range s.nodes {
		if err := os.RemoveAll(filepath.Join(s.dir, n.name)); err != nil {
			s.Fatal(err)
		}
		s.copyFiles(filepath.Join(kept, n.name), filepath.Join(s.dir, n.name))
	}
	s.startAll()
	s.vague = true // FAULTS has gone the same way
	if s.info("JOBS").State.LastSeq >= ends {
		s.Fatal("the stream was not rewound")
	}
	s.publish()
	if s.round%2 == 1 {
		s.more(1500) // beyond where the daemon is
	}
	s.inNewEpoch()
	s.rewound(1)
	return 1
}

func (s *siege) copyFiles(from, to string) {
	s.Helper()
	if err := os.CopyFS(to, os.DirFS(from)); err != nil {
		s.Fatal(err)
	}
}

// deleteConsumers deletes what the daemon reads with, again and again.
func (s *siege) deleteConsumers() (hits int) {
	s.Helper()
	stream, err := s.js.Stream(s.Context(), "JOBS")
	if err != nil {
		s.Fatal(err)
	}
	var gone []string
	for range 4 {
		until(s, "the daemon's consumer is deleted", func(ctx context.Context) bool {
			list := stream.ListConsumers(ctx)
			for info := range list.Info() {
				if strings.HasPrefix(info.Config.Description, "faultd reads") && !slices.Contains(gone, info.Name) && stream.DeleteConsumer(ctx, info.Name) == nil {
					gone = append(gone, info.Name)
					return true
				}
			}
			return false
		})
		s.more(200)
	}
	return len(gone)
}

// changeCredentials gives the daemon's user another password for a while.
func (s *siege) changeCredentials() int {
	s.Helper()
	s.allow(strings.Replace(everything, "password: faultd", "password: another", 1))
	until(s, "the daemon is sent away", func(context.Context) bool { return s.saw("DISCONNECTED") })
	s.more(300)
	until(s, "the daemon says why", func(context.Context) bool {
		_, reasons, _ := s.process.Health()
		return strings.Contains(strings.ToLower(strings.Join(reasons, " ")), "authorization")
	})
	time.Sleep(3 * time.Second) // for several tries
	s.refuses("DISCONNECTED")
	s.allow(everything)
	return 1
}

// denySubject forbids the daemon to ask for messages, to receive answers, or to tell of faults, for a while.
func (s *siege) denySubject() int {
	s.Helper()
	switch s.round % 3 {
	case 0:
		s.allow(denied(`publish: {deny: ["$JS.API.CONSUMER.>"]}`))
	case 1:
		s.allow(denied(`subscribe: {deny: ["_INBOX.>"]}`))
	case 2:
		s.allow(denied(`publish: {deny: ["faults.>"]}`))
	}
	s.more(500)
	until(s, "the daemon meets with a refusal", func(context.Context) bool { return strings.Contains(s.process.Log(), "ermissions") })
	time.Sleep(3 * time.Second)
	s.allow(everything)
	return 1
}
