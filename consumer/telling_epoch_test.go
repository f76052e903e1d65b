package consumer_test

import (
	"testing"

	"faultd/consumer"
	"faultd/testdata/campaign"
)

// A replica that begins an epoch long after another tells nothing of it again.
func TestTelling_EpochOfAnother(t *testing.T) {
	b := newBench(t)
	anew := func(cfg *consumer.Config) { cfg.OnRewind = consumer.NewEpochAtRewind }
	ahead, behind := newStore(t), newStore(t)
	r := b.run(ahead, tell(ahead), anew)
	r.await(consumer.Ready, 0)
	late := b.run(behind, tell(behind), anew)
	b.publishLines(failing("s1", 1), failing("s2", 1))
	r.await(consumer.Ready, 2)
	late.await(consumer.Ready, 2)
	b.awaitTold(ahead)
	b.awaitTold(behind)
	late.stop()
	model := campaign.ReadModel(t, b.server.URL(), "JOBS")
	b.deleteStream()
	b.makeStream()
	b.publishLines(healing("s1", 2), healing("s2", 2), failing("s1", 3), failing("s1", 4))
	r.await(consumer.Ready, 4)
	b.awaitTold(ahead)
	late = b.run(behind, tell(behind), anew)
	late.await(consumer.Ready, 4)
	b.awaitTold(behind)
	b.faults(6)
	model.Read(t, b.server.URL(), "JOBS")
	model.CheckFaults(t, b.server.URL())
}
