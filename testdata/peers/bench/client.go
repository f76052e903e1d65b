package main

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strconv"
	"sync"
	"time"
)

// clients is how many connections ask at a time, each for one answer after the other.
const clients = 4

// ask asks for the paths in turn for that long, and returns how long each answer took. It reads no more
// of an answer than its status and its end: the server is what is measured.
func ask(address string, paths []string, atLeast time.Duration) (waits []time.Duration, err error) {
	var wg sync.WaitGroup
	results := make([]asked, clients)
	for i := range results {
		wg.Go(func() { results[i].run(address, paths[i*len(paths)/clients:], atLeast) })
	}
	wg.Wait()
	for i := range results {
		waits = append(waits, results[i].waits...)
		err = errors.Join(err, results[i].err)
	}
	return waits, err
}

// asked is one connection.
type asked struct {
	waits []time.Duration
	err   error
}

func (a *asked) run(address string, paths []string, atLeast time.Duration) {
	conn, err := net.Dial("tcp", address)
	if err != nil {
		a.err = err
		return
	}
	defer conn.Close()
	requests := make([][]byte, len(paths))
	for i, path := range paths {
		requests[i] = fmt.Appendf(nil, "GET %s HTTP/1.1\r\nHost: %s\r\n\r\n", path, address)
	}
	buffer, began := make([]byte, 1<<20), time.Now()
	for i, last := 0, began; last.Sub(began) < atLeast; i++ {
		if _, a.err = conn.Write(requests[i%len(requests)]); a.err == nil {
			a.err = readAnswer(conn, buffer)
		}
		if a.err != nil {
			a.err = fmt.Errorf("%s: %w", paths[i%len(paths)], a.err)
			return
		}
		now := time.Now()
		a.waits, last = append(a.waits, now.Sub(last)), now
	}
}

// readAnswer reads one answer, which must be 200 and say how long it is.
func readAnswer(conn net.Conn, buffer []byte) error {
	n, end := 0, -1
	for end < 0 || n < end {
		more, err := conn.Read(buffer[n:])
		if err != nil {
			return err
		}
		n += more
		if end < 0 {
			if end, err = endOf(buffer[:n]); err != nil {
				return err
			}
		}
		if end > len(buffer) || end >= 0 && n > end {
			return fmt.Errorf("an answer of %d bytes came as %d", end, n)
		}
	}
	return nil
}

var lengthField = []byte("Content-Length: ")

// endOf is where an answer ends, -1 while its head is not there.
func endOf(answer []byte) (int, error) {
	head := bytes.Index(answer, []byte("\r\n\r\n"))
	if head < 0 {
		return -1, nil
	}
	_, rest, ok := bytes.Cut(answer[:head+2], lengthField)
	if !ok || !bytes.HasPrefix(answer, []byte("HTTP/1.1 200 ")) {
		return 0, fmt.Errorf("the answer is %.300s", answer)
	}
	length, err := strconv.Atoi(string(rest[:bytes.IndexByte(rest, '\r')]))
	return head + 4 + length, err
}
