package api

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"time"

	sm "faultd/statemachine"
)

// spoolName is the file in the spool directory that is served. There is one at a time.
const spoolName = "snapshot.download"

// sendBytes is how much of a snapshot a client must take within the write limit.
const sendBytes = 256 << 10

var (
	snapshotBusy = &problem{status: http.StatusServiceUnavailable, message: "Another snapshot is being made or sent.", retry: 10 * time.Second}
	noSpool      = &problem{status: http.StatusServiceUnavailable, message: "There is no place for snapshots to be made in."}
	noRoom       = &problem{status: http.StatusServiceUnavailable, message: "There is no room for a copy of the store on its file system.", retry: time.Minute}
)

// CleanSpool removes what a process before this one left of a snapshot that it served.
func CleanSpool(dir string) error {
	left, err := os.ReadDir(dir) // no pattern: a directory may have any name
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), spoolName) {
			err = errors.Join(err, os.Remove(filepath.Join(dir, entry.Name())))
		}
	}
	if err != nil {
		return fmt.Errorf("removing what is left of a snapshot: %w", err)
	}
	return nil
}

// sendSnapshot answers with a copy of the store. It is made and verified first, so that no transaction is open for as long
// as a client takes to read it.
func sendSnapshot(c *call) error {
	if c.h.spool == "" {
		return noSpool
	}
	select {
	case <-c.h.done:
		return stopping
	default:
	}
	select {
	case c.h.copying <- struct{}{}:
		defer func() { <-c.h.copying }()
	default:
		return snapshotBusy
	}
	c.streams = true
	c.h.gate.leave(c) // it may take long, and there is one at a time
	head := c.w.Header()
	head["Content-Type"] = []string{"application/octet-stream"}
	head["Cache-Control"] = []string{"no-store"}
	if c.r.Method == http.MethodHead {
		c.w.WriteHeader(http.StatusOK) // what GET would answer is not made for that
		return nil
	}
	ctx, cancel := c.untilDone()
	defer cancel()
	path := filepath.Join(c.h.spool, spoolName)
	if err := CleanSpool(c.h.spool); err != nil {
		return err
	}
	position, err := c.h.store.Snapshot(ctx, path)
	if err != nil {
		return c.snapshotError(err)
	}
	defer func() { _ = os.Remove(path) }() // what is left is removed with the next, or at the next start
	return c.sendFile(ctx, path, position)
}

// untilDone is the context of the request, which ends with the service too.
func (c *call) untilDone() (context.Context, context.CancelFunc) {
	ctx, cancel := context.WithCancel(c.r.Context())
	go func() {
		select {
		case <-c.h.done:
			cancel()
		case <-ctx.Done():
		}
	}()
	return ctx, cancel
}

// snapshotError is what a client is told of a copy that could not be made.
func (c *call) snapshotError(err error) error {
	select {
	case <-c.h.done:
		return stopping
	default:
	}
	if errors.Is(err, sm.ErrFull) {
		c.h.log.Warn().Err(err).Str("request_id", c.id).Msg("no snapshot is made")
		return noRoom
	}
	return err
}

// sendFile sends a snapshot, for as long as the client takes something of it every now and then.
func (c *call) sendFile(ctx context.Context, path string, at sm.Position) error {
	f, err := os.Open(path)
	if err != nil {
		return err
	}
	defer func() { _ = f.Close() }() // it was only read
	info, err := f.Stat()
	if err != nil {
		return err
	}
	head := c.w.Header()
	head["X-Faultd-Position"] = []string{string(appendPosition(nil, at))}
	head["Content-Length"] = []string{strconv.FormatInt(info.Size(), 10)}
	head["Content-Disposition"] = []string{`attachment; filename="` + SnapshotName(at) + `"`}
	if at.StreamTime != 0 {
		head["Last-Modified"] = []string{at.StreamTime.Std().UTC().Format(http.TimeFormat)}
	}
	c.w.WriteHeader(http.StatusOK)
	return c.sendAll(ctx, f)
}

// SnapshotName is the name for the file of a snapshot, by the stream's time at its position.
func SnapshotName(at sm.Position) string {
	return "snapshot-" + at.StreamTime.Std().UTC().Format("20060102T150405.000000000Z") + ".db"
}

// sendAll sends a file. Where that fails the connection is closed, so that nobody takes a part for the whole.
func (c *call) sendAll(ctx context.Context, f io.Reader) error {
	err := c.sendPieces(ctx, f)
	if errors.Is(err, io.EOF) {
		return nil
	}
	c.h.log.Info().Err(err).Str("request_id", c.id).Msg("a snapshot was not sent to its end")
	panic(http.ErrAbortHandler)
}

// sendPieces sends a file to its end, which is its error. The client must take each piece within the write limit.
func (c *call) sendPieces(ctx context.Context, f io.Reader) error {
	deadline := http.NewResponseController(&c.w)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := deadline.SetWriteDeadline(time.Now().Add(c.h.writeLimit)); err != nil {
			return err
		}
		if _, err := io.CopyN(&c.w, f, sendBytes); err != nil {
			return err
		}
	}
}
