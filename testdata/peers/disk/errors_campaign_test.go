//go:build campaign

package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"testing"
	"time"

	"faultd/peers/disk"
	sm "faultd/statemachine"
	"faultd/storage"
	"faultd/testdata/campaign"
)

const errorCommits = 50

// A store that meets an error of the disk, whichever operation it hits, says so and does nothing more, or, for want of
// room, does the same again; what it left is as after the last action that had returned, or the one under way, also
// if the power fails then or later; and opened again it goes on to the same end.
func TestRootCampaign_IOErrors(t *testing.T) {
	begun := time.Now()
	every := campaign.Count(t, "ioerrors", 10, 1)
	seed := campaign.Seeds(t, "ioerrors", 1)[0]
	d := disk.Start(t)
	trials := trials{t: t, disk: d, seed: seed, errors: newFew(t)}
	var ops []disk.Op
	trials.ref, ops = record(t, d, "reference", script(seed, errorCommits))
	faults := allFaults(ops, every)
	trials.all(faults)
	trials.ref, ops = record(t, d, "growing", growingScript(seed))
	more := growthFaults(t, ops)
	trials.all(more)
	faults = append(faults, more...)
	if trials.missed > len(faults)/20 {
		t.Errorf("%d of %d faults were never met", trials.missed, len(faults))
	}
	campaign.Result{Campaign: "I/O errors", Seed: seed, Operations: len(faults) * errorCommits, Faults: trials.hit, Lost: trials.wrong,
		Seconds: time.Since(begun).Seconds(), Note: fmt.Sprintf("at every %d. operation of a kind, at each of the rare ones: %s; %d met in an action that came out before it, %d behind, %d for want of room that were done again, %d in something else than a commit; %d images of power cuts behind them",
			every, counted(faults), trials.before, trials.after, trials.again, trials.other, trials.images)}.Report(t)
}

// often is how many operations of a kind a run has at least, for it to be enough to try every so manieth.
const often = 30

// allFaults are, for every so manieth operation of each kind, an error and a lack of room, and for every so manieth of
// all, and each that is rare, the end of the process.
func allFaults(ops []disk.Op, every int) (all []disk.Fault) {
	counts := map[disk.Kind]int{0: len(ops)}
	for _, op := range ops {
		counts[op.Kind]++
	}
	for kind := disk.Kind(0); kind <= disk.SyncDir; kind++ {
		step := every
		if counts[kind] < often {
			step = 1
		}
		for n := 1; n <= counts[kind]; n += step {
			how := disk.How(n / step % 3)
			if kind == 0 || step < every {
				all = append(all, disk.Fault{Kind: kind, N: n, Errno: syscall.EIO, How: disk.Done, Dead: true})
			}
			if kind != 0 {
				all = append(all, disk.Fault{Kind: kind, N: n, Errno: syscall.EIO, How: how}, disk.Fault{Kind: kind, N: n, Errno: syscall.ENOSPC, How: (how + 1) % 3})
			}
		}
	}
	return all
}

// growthFaults hit where the file grows in the middle of its life, and where its new size is synced.
func growthFaults(t testing.TB, ops []disk.Op) (all []disk.Fault) {
	from, to := growth(t, ops)
	for i := from; i < to && len(all) < 6; i++ {
		kind := ops[i].Kind
		if kind != disk.Truncate && kind != disk.Sync {
			continue
		}
		n := 0
		for _, op := range ops[:i+1] {
			n += bit(op.Kind == kind)
		}
		all = append(all, disk.Fault{Kind: kind, N: n, Errno: syscall.EIO}, disk.Fault{Kind: kind, N: n, Errno: syscall.ENOSPC},
			disk.Fault{Kind: kind, N: n, Errno: syscall.EIO, How: disk.Done, Dead: true})
	}
	return all
}

func counted(faults []disk.Fault) string {
	counts := map[string]int{}
	for _, f := range faults {
		name := f.Kind.String()
		if f.Dead {
			name = "killed"
		}
		counts[name]++
	}
	return fmt.Sprint(counts)
}

// trials run the same script over and over, each time with another fault.
type trials struct {
	t    testing.TB
	disk *disk.Disk
	ref  *reference
	seed uint64

	sync.Mutex // guards what follows
	errors     *few

	hit, missed, wrong, before, after, again, other, images int
}

func (a *trials) all(faults []disk.Fault) {
	work := make(chan int)
	var workers sync.WaitGroup
	for range 2 * runtime.GOMAXPROCS(0) { // the disk makes them wait
		dir, err := os.MkdirTemp("/dev/shm", "faultd-errors-")
		if err != nil {
			a.t.Fatal(err)
		}
		workers.Go(func() {
			defer os.RemoveAll(dir)
			for i := range work {
				if err := a.within(30*time.Second, func() error { return a.one(faults[i], i, dir) }); err != nil {
					a.Lock()
					a.wrong++
					a.errors.add("%+v: %v", faults[i], err)
					a.Unlock()
				}
			}
		})
	}
	for i := range faults {
		if a.givenUp() {
			break
		}
		work <- i
	}
	close(work)
	workers.Wait()
}

// givenUp: what fails so often fails always, and may take long to.
func (a *trials) givenUp() bool {
	a.Lock()
	defer a.Unlock()
	return a.wrong >= 10
}

// within gives up what hangs.
func (a *trials) within(limit time.Duration, do func() error) error {
	done := make(chan error, 1)
	go func() { done <- do() }()
	select {
	case err := <-done:
		return err
	case <-time.After(limit):
		return errors.New("it hangs")
	}
}

// trial is one run with a fault.
type trial struct {
	*trials
	fault  disk.Fault
	volume *disk.Volume
	store  *store
	own    *reference // the reference's, with this run's counts of operations
	failed int        // operations when the action that met the fault had returned, 0 if it had no error
	unsure bool       // whether what the store holds since then would outlive a power cut
}

// never is more operations than there are.
const never = 1 << 30

func (a *trials) one(fault disk.Fault, number int, dir string) (err error) {
	t := &trial{trials: a, fault: fault, volume: a.disk.Volume(a.t, fmt.Sprintf("trial-%d-%d", len(a.ref.script), number)), store: &store{},
		own: &reference{script: a.ref.script, moments: slices.Clone(a.ref.moments), rows: a.ref.rows}}
	for i := range t.own.moments {
		t.own.moments[i].began, t.own.moments[i].returned = never, never
	}
	defer t.volume.Remove(a.t)
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v\n%s", panicked, debug.Stack())
		}
	}()
	t.volume.Fail(a.t, fault)
	if err := t.live(); err != nil {
		return errors.Join(err, t.store.close())
	}
	if t.failed == 0 {
		t.failed = t.volume.Hit(a.t)
		if a.add(&a.missed, t.failed == 0); t.failed == 0 {
			return nil
		}
		if t.mustBeTold() {
			return errors.New("it was met, and nobody said so")
		}
	}
	a.add(&a.hit, true)
	return t.cuts(rand.New(rand.NewPCG(a.seed, uint64(number))), dir)
}

func (a *trials) add(counter *int, is bool) {
	a.Lock()
	defer a.Unlock()
	*counter += bit(is)
}

// mustBeTold: a commit that is found on the disk after all needs no word, nor does a file that is in nobody's way.
func (t *trial) mustBeTold() bool {
	return t.fault.Errno != syscall.ENOSPC && t.fault.Kind != disk.Remove
}

// live does the whole script.
func (t *trial) live() error {
	err := t.begin(0)
	for at := 0; ; at++ {
		if err != nil {
			if at, err = t.recover(at, err); err != nil {
				return err
			}
		} else {
			t.returned(at)
		}
		if at == len(t.own.script) {
			break
		}
		err = t.begin(at + 1)
	}
	is := t.store.state()
	if want := t.own.moments[len(t.own.moments)-1].is; is != want {
		return fmt.Errorf("it ends at %+v with %016x, not at %+v with %016x", is.position, is.hash, want.position, want.hash)
	}
	return errors.Join(t.store.close(), checkFile(t.store.path, is.position, is.hash))
}

// begin does what leads to a moment: the making of the store, or an action.
func (t *trial) begin(at int) (err error) {
	t.own.moments[at].began = min(t.own.moments[at].began, t.volume.Count(t.t))
	if at == 0 {
		t.store, err = openStore(t.volume.Dir)
		return err
	}
	return t.store.do(&t.own.script[at-1])
}

// returned notes that what led to a moment returned without an error. After an error it is the next commit that makes
// certain what was there before it.
func (t *trial) returned(at int) {
	if t.unsure && !t.commits(at) {
		return
	}
	t.unsure = false
	count := t.volume.Count(t.t)
	for ; at >= 0 && t.own.moments[at].returned == never; at-- {
		t.own.moments[at].returned = count
	}
}

// commits is whether an action that commits leads to a moment.
func (t *trial) commits(at int) bool {
	return at > 0 && (t.own.script[at-1].name == "apply" || t.own.script[at-1].name == "epoch")
}

// recover is for an error on the way to a moment. It returns the moment that the store is at then.
func (t *trial) recover(at int, cause error) (int, error) {
	if t.failed > 0 || t.volume.Hit(t.t) == 0 {
		return 0, fmt.Errorf("an error out of nothing on the way to moment %d: %w", at, cause)
	}
	t.failed = t.volume.Count(t.t)
	if t.commits(at) {
		if t.fault.Errno == syscall.ENOSPC {
			return at, t.again(at, cause)
		}
		if err := t.broken(at); err != nil {
			return 0, err
		}
	}
	now, err := t.reopen(at)
	t.add(&t.before, t.commits(at) && now < at)
	t.add(&t.after, t.commits(at) && now == at)
	t.add(&t.other, !t.commits(at))
	return now, err
}

// again does an action again for which there was no room: nothing is there of it, and this time it succeeds.
func (t *trial) again(at int, cause error) error {
	if !errors.Is(cause, sm.ErrFull) {
		return fmt.Errorf("no room for %s is no sm.ErrFull: %w", t.own.script[at-1].name, cause)
	}
	if is := t.store.state(); is != t.own.moments[at-1].is {
		return fmt.Errorf("without room it shows %+v", is.position)
	}
	if err := errors.Join(t.store.read(), t.store.do(&t.own.script[at-1])); err != nil {
		return fmt.Errorf("after there was no room: %w", err)
	}
	t.add(&t.trials.again, true)
	t.returned(at)
	return nil
}

// broken looks at a store that has met an error: it commits no more, and shows what it showed before.
func (t *trial) broken(at int) error {
	for _, action := range []action{t.own.script[at-1], {name: "apply", to: t.own.script[at-1].to}} {
		if err := t.store.do(&action); !errors.Is(err, storage.ErrBroken) {
			return fmt.Errorf("after an error %s ends with %w", action.name, err)
		}
	}
	if is := t.store.state(); is != t.own.moments[at-1].is {
		return fmt.Errorf("after an error it shows %+v", is.position)
	}
	return t.store.read()
}

// reopen opens the store anew, without errors, and checks it.
func (t *trial) reopen(at int) (now int, err error) {
	if err := t.store.close(); err != nil {
		return 0, err
	}
	t.unsure = true
	t.volume.Fail(t.t, disk.Fault{})
	if now, err = t.own.check(t.volume.Dir, at-1, at); err != nil {
		return 0, fmt.Errorf("opened again: %w", err)
	}
	if at > 0 && !t.commits(at) {
		now = at - 1 // to be done again
	}
	return now, t.store.open()
}

// cuts cuts the power when the fault had been met, and later.
func (t *trial) cuts(rng *rand.Rand, dir string) error {
	ops := t.volume.Ops(t.t)
	at := min(t.failed, len(ops)) // what failed may have left no trace
	points := []int{at, at, min(len(ops), at+1+rng.IntN(40)), at + rng.IntN(len(ops)-at+1)}
	for _, point := range points {
		crash := disk.NewCrash(ops, rng.Uint64())
		for crash.At < point {
			crash.Next()
		}
		first, last := t.own.possible(point)
		if _, err := checkImage(t.own, crash.Random(rng), first, last, dir); err != nil {
			return fmt.Errorf("power cut at operation %d of %d, the fault met at %d: %w", point, len(ops), t.failed, err)
		}
		t.add(&t.images, true)
	}
	return nil
}
