//go:build campaign

package disk_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"faultd/peers/disk"
	"faultd/testdata/campaign"
)

// A run of so many commits is made for so many images.
const (
	imageCommits   = 60
	imagesOfOneRun = 2500
	growing        = 50 // of so many images one is of a file that grows
)

// What the power leaves of a store's file, wherever in its life it fails, is opened by the store itself: it is as after
// the last action that had returned, or the one under way, and goes on from there to the same end.
func TestRootCampaign_CrashImages(t *testing.T) {
	begun := time.Now()
	images := campaign.Count(t, "images", 300, 20_000)
	runs := max(2, images/imagesOfOneRun)
	d := disk.Start(t)
	total := tally{errors: newFew(t)}
	seeds := campaign.Seeds(t, "images", runs)
	for i, seed := range seeds {
		ref, ops := record(t, d, fmt.Sprint("run-", i), script(seed, imageCommits))
		total.recorded += len(ops)
		crashes(t, ref, ops, plan(seed, ops, 0, (images-images/growing+i)/runs), &total)
	}
	ref, ops := record(t, d, "growing", growingScript(seeds[0]))
	from, to := growth(t, ops)
	crashes(t, ref, ops[:to], plan(seeds[0], ops[:to], from, images/growing), &total)
	if total.partly == 0 || total.before == 0 || total.after == 0 || total.creating == 0 {
		t.Errorf("the images are too much alike: %d, %d, %d, %d", total.partly, total.before, total.after, total.creating)
	}
	campaign.Result{Campaign: "crash images", Seed: seeds[len(seeds)-runs], Operations: total.images, Faults: total.partly, Lost: total.wrong,
		Seconds: time.Since(begun).Seconds(), Note: fmt.Sprintf("%d runs, %d recorded operations; cut in the middle of an action: %d came out before it, %d behind; %d in the making of the store; %d went on to the end",
			runs, total.recorded, total.before, total.after, total.creating, total.wentOn)}.Report(t)
}

// record does a script on a disk, and returns its run and what the disk was asked to do.
func record(t testing.TB, d *disk.Disk, name string, actions []action) (*reference, []disk.Op) {
	t.Helper()
	volume := d.Volume(t, name)
	defer volume.Remove(t)
	ref, err := run(volume.Dir, actions, func() int { return volume.Count(t) })
	if err != nil {
		t.Fatal(err)
	}
	return ref, volume.Ops(t)
}

// growth is the part of a growing run in which its file is made larger and the commit ends that needed it.
func growth(t testing.TB, ops []disk.Op) (from, to int) {
	t.Helper()
	for i := range ops {
		if ops[i].Kind == disk.Truncate && ops[i].Size > 20<<20 {
			from = i
		}
	}
	if from == 0 {
		t.Fatal("the file did not grow")
	}
	syncs := 0
	for to = from; to < len(ops) && syncs < 4; to++ { // of the size, the pages, the meta page; and some of the next commit
		syncs += bit(ops[to].Kind == disk.Sync)
	}
	return from, to
}

// tally counts what the images were; several goroutines add.
type tally struct {
	sync.Mutex
	errors                                                           *few
	recorded, images, partly, before, after, creating, wentOn, wrong int
}

// few tells of the first errors only: one cause often has thousands.
type few struct {
	t    testing.TB
	left int
}

func newFew(t testing.TB) *few { return &few{t, 10} }

func (f *few) add(format string, args ...any) {
	if f.left--; f.left >= 0 {
		f.t.Errorf(format, args...)
	}
}

// cut is an image that is to be made: after so many operations, drawn by this number, or whole for 0.
type cut struct {
	at    int
	drawn uint64
}

// plan says which images of a run are made from some operation on, in their order in time: up to a third are whole, for
// a process that is killed, evenly spread or all there are; the others are drawn.
func plan(seed uint64, ops []disk.Op, from, images int) (cuts []cut) {
	rng := rand.New(rand.NewPCG(seed, 2))
	of := make([][]uint64, len(ops)+1)
	all := len(of) - from
	whole := min(images/3, all)
	if images >= 2*all {
		whole = all
	}
	for i := range whole {
		at := from + i*(all-1)/max(whole-1, 1)
		of[at] = append(of[at], 0)
	}
	var open []int // moments at which something can be lost
	for at, crash := 0, disk.NewCrash(ops, seed); at < len(ops); at++ {
		crash.Next()
		if at+1 >= from && crash.Unsynced() > 0 {
			open = append(open, at+1)
		}
	}
	for range images - whole {
		at := open[rng.IntN(len(open))]
		if rng.IntN(2) == 0 { // right before the next sync, where most can be lost
			for at < len(ops) && ops[at].Kind != disk.Sync && ops[at].Kind != disk.SyncDir {
				at++
			}
		}
		of[at] = append(of[at], 1+rng.Uint64N(1<<62))
	}
	for at, drawn := range of {
		for _, n := range drawn {
			cuts = append(cuts, cut{at, n})
		}
	}
	return cuts
}

// crashes makes images and checks them, with all processors.
func crashes(t testing.TB, ref *reference, ops []disk.Op, cuts []cut, total *tally) {
	var workers sync.WaitGroup
	n := runtime.GOMAXPROCS(0)
	for worker := range n {
		dir, err := os.MkdirTemp("/dev/shm", "faultd-images-")
		if err != nil {
			t.Fatal(err)
		}
		workers.Go(func() {
			defer os.RemoveAll(dir)
			crash := disk.NewCrash(ops, 0)
			for i := worker; i < len(cuts); i += n {
				for crash.At < cuts[i].at {
					crash.Next()
				}
				total.image(ref, crash, cuts[i], i, dir)
			}
		})
	}
	workers.Wait()
}

// image makes an image and checks it. Every 25th goes on to the end.
func (total *tally) image(ref *reference, crash *disk.Crash, c cut, number int, dir string) {
	image := crash.Whole()
	if c.drawn != 0 {
		image = crash.Random(rand.New(rand.NewPCG(c.drawn, 3)))
	}
	first, last := ref.possible(crash.At)
	at, err := checkImage(ref, image, first, last, dir)
	goesOn := number%25 == 0
	if err == nil && goesOn {
		err = ref.goOn(dir, at)
	}
	total.Lock()
	defer total.Unlock()
	total.images++
	total.partly += bit(crash.Unsynced() > 0)
	total.creating += bit(first < 0)
	total.before += bit(first >= 0 && first < last && at == first)
	total.after += bit(first >= 0 && first < at)
	total.wentOn += bit(goesOn)
	if err != nil {
		total.wrong++
		total.errors.add("image after %d operations, drawn by %d: %v", c.at, c.drawn, err)
	}
}

func bit(is bool) int {
	if is {
		return 1
	}
	return 0
}

// checkImage lays an image into the empty directory and checks what is found there.
func checkImage(ref *reference, image disk.Image, first, last int, dir string) (at int, err error) {
	defer func() {
		if panicked := recover(); panicked != nil {
			err = fmt.Errorf("panic: %v", panicked)
		}
	}()
	if err := errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o700), image.Write(dir)); err != nil {
		return 0, err
	}
	if first >= 0 && !image.Has(storeFile) {
		return 0, errors.New("the store is gone")
	}
	if at, err = ref.check(dir, first, last); err != nil {
		return at, err
	}
	for name := range image {
		if strings.HasPrefix(name, "snapshot-") && strings.HasSuffix(name, ".db") {
			err = errors.Join(err, checkSnapshot(ref, dir+"/"+name))
		}
	}
	return at, err
}

// checkSnapshot checks a copy that has its name: it is whole, and as the store was when it was made.
func checkSnapshot(ref *reference, path string) error {
	for i := range ref.script {
		if ref.script[i].name == "snapshot" {
			return checkFile(path, ref.moments[i].is.position, ref.moments[i].is.hash)
		}
	}
	return fmt.Errorf("%s was never made", path)
}
