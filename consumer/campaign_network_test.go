//go:build campaign

package consumer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go"

	"faultd/api"
	"faultd/consumer"
	"faultd/storage"
	"faultd/testdata/campaign"
)

// While events come, the network between the consumer and its server is slow, silent, torn, or cut into pieces, changing
// at random. In the end everything is applied once and told once.
func TestCampaign_Network(t *testing.T) {
	seeds := campaign.Seeds(t, "network", campaign.Count(t, "network", 3, 50))
	result, begun := campaign.Result{Campaign: "network", Seed: seeds[0]}, time.Now()
	var hits [weathers]int64
	connections := 0
	for _, seed := range seeds {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { connections += storm(t, seed, &result, &hits) })
		if t.Failed() {
			break
		}
	}
	result.Seconds = time.Since(begun).Seconds()
	result.Note = fmt.Sprintf("%d rounds, %d connections; hits", len(seeds), connections)
	for w := latency; w < weathers; w++ {
		result.Note += fmt.Sprintf(", %s %d", w, hits[w])
		if hits[w] == 0 && !t.Failed() {
			t.Errorf("nothing was carried while the network was so: %s", w)
		}
	}
	if connections < 3*len(seeds) {
		t.Errorf("%d connections in %d rounds: hardly one was ever lost", connections, len(seeds))
	}
	result.Report(t)
}

// storm is a round; it returns how many connections there were.
func storm(t *testing.T, seed uint64, result *campaign.Result, hits *[weathers]int64) int {
	random := rand.New(rand.NewPCG(seed, 0))
	b := newBench(t)
	b.makeStream()
	network := newProxy(t, strings.TrimPrefix(b.server.URL(), "nats://"), seed)
	path := filepath.Join(t.TempDir(), "faultd.db")
	db, err := storage.Open(storage.Options{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	source := consumer.New(consumer.Config{Store: db, Outbox: db, Render: renderForAll, RenderFault: api.RenderFault,
		URL: network.url(), BatchEvents: 1 + random.IntN(300), CheckEvery: 100 * time.Millisecond,
		Options: []nats.Option{nats.PingInterval(150 * time.Millisecond), nats.MaxPingsOutstanding(2), nats.Timeout(300 * time.Millisecond),
			nats.ReconnectWait(20 * time.Millisecond), nats.ReconnectJitter(0, 0)}})
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	done := make(chan error, 1)
	go func() { done <- source.Run(ctx) }()

	var ledger campaign.Ledger
	publishing, stop := context.WithCancel(t.Context())
	defer stop()
	var publisher sync.WaitGroup
	publisher.Go(func() {
		ledger.Publish(publishing, b.server.URL(), "JOBS", campaign.NewLoad(random, 300), rand.New(rand.NewPCG(seed, 2)), 20*time.Millisecond)
	})
	order := rand.New(rand.NewPCG(seed, 3))
	for range 2 {
		for _, w := range order.Perm(int(weathers)) {
			network.turn(weather(w))
			time.Sleep(time.Duration(100+order.IntN(300)) * time.Millisecond)
		}
	}
	network.turn(fair)
	stop()
	publisher.Wait()

	last := b.stream().CachedInfo().State.LastSeq
	calm := func() bool {
		rows, _ := db.OutboxState()
		return db.Position().Sequence == last && rows == 0
	}
	for end := time.Now().Add(patience); !calm(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("the consumer has not come to message %d: %+v at %+v", last, source.Status(), db.Position())
		}
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := db.Close(); err != nil {
		t.Error(err)
	}
	model := campaign.ReadModel(t, b.server.URL(), "JOBS")
	model.Check(t, path)
	model.CheckFaults(t, b.server.URL())
	model.CheckAcknowledged(t, &ledger)
	if ledger.Len() < 1000 || len(model.Tellings) < 50 {
		t.Errorf("only %d events and %d tellings in this round", ledger.Len(), len(model.Tellings))
	}
	result.Operations += ledger.Len()
	result.Lost += model.Lost
	result.Twice += model.Twice
	for w := latency; w < weathers; w++ {
		n := network.hits[w].Load()
		hits[w] += n
		if n > 0 {
			result.Faults++
		}
	}
	return int(network.connections.Load())
}
