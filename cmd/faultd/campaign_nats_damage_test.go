//go:build campaign

package main

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// restored is how a server tells how many messages of the stream it has found in its files.
var restored = regexp.MustCompile(`Restored ([0-9,]+) messages for stream '\$G > JOBS'`)

// flipByte damages the file of messages of one server, where the daemon has not read yet: while the server is down, or
// under it.
func (s *siege) flipByte() (hits int) {
	s.Helper()
	_, to := s.unread(2000)
	s.read() // as long as every server has them
	damaged := s.leader("JOBS")
	if s.round%2 == 1 {
		hits = s.damage(damaged)
		time.Sleep(12 * time.Second) // by then the server has forgotten what it had in memory
		s.serve()
		s.overDamage(damaged)
		s.kill(damaged) // when it starts it reads its files through, and fetches what is not whole
		s.start(damaged)
	} else {
		s.kill(damaged)
		hits = s.damage(damaged)
		s.start(damaged)
		until(s, "the damaged server has noticed", func(context.Context) bool {
			found := restored.FindAllStringSubmatch(tail(filepath.Join(s.dir, damaged.name+".log"), 100), -1)
			if len(found) == 0 {
				return false
			}
			whole, err := strconv.ParseUint(strings.ReplaceAll(found[len(found)-1][1], ",", ""), 10, 64)
			return err == nil && whole > 0 && whole < to
		})
		s.lead(damaged, true)
		s.serve()
	}
	s.ready()
	s.settled("JOBS")
	s.publish()
	return hits
}

// damage flips a bit in the last third of a server's file of messages, and returns in how many files.
func (s *siege) damage(n *node) (files int) {
	s.Helper()
	err := filepath.WalkDir(filepath.Join(s.dir, n.name), func(path string, _ fs.DirEntry, err error) error {
		if err != nil || filepath.Ext(path) != ".blk" || !strings.Contains(path, "/streams/JOBS/msgs/") {
			return err
		}
		file, err := os.OpenFile(path, os.O_RDWR, 0)
		if err != nil {
			return err
		}
		defer file.Close()
		size, err := file.Seek(0, io.SeekEnd)
		if err != nil || size < 1000 {
			return err
		}
		at, one := size-1-s.random.Int64N(size/3), make([]byte, 1)
		if _, err := file.ReadAt(one, at); err != nil {
			return err
		}
		one[0] ^= 1 << s.random.IntN(8)
		files++
		_, err = file.WriteAt(one, at)
		return err
	})
	if err != nil {
		s.Fatal(err)
	}
	return files
}

// overDamage sees the daemon to the end of what it has not read. Where the leader cannot read a message that others have,
// the daemon must not go on; when another leads, it does by itself.
func (s *siege) overDamage(damaged *node) {
	s.Helper()
	var state string
	until(s, "the daemon is ready or stands before a gap", func(context.Context) bool {
		state, _, _ = s.process.Health()
		return state == "READY" || state == "GAP"
	})
	if state == "GAP" {
		s.Logf("the daemon has met with the damage")
		s.refuses("GAP", "of JOBS", "--on-gap=continue")
		s.lead(damaged, false)
	}
	s.ready()
}

// lead makes a server lead the stream, or another one than that.
func (s *siege) lead(n *node, it bool) {
	s.Helper()
	until(s, "the stream has that leader", func(context.Context) bool {
		if (s.leader("JOBS") == n) == it {
			return true
		}
		var wish []byte
		if it {
			wish = fmt.Appendf(nil, `{"placement":{"preferred":%q}}`, n.name)
		}
		if _, err := s.conn.Request("$JS.API.STREAM.LEADER.STEPDOWN.JOBS", wish, 5*time.Second); err != nil {
			s.Logf("step-down: %v", err)
		}
		return false
	})
}
