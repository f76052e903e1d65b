//go:build campaign

package mutants

// What is written, each written wrongly.
var ofTheStore = []mutant{
	{"what was read stays after it has changed", "storage/recent.go",
		`delete(c.young, t.resource.Key)`, ``, "./storage -run TestResource"},
	{"the position is written in a second transaction", "storage/flush.go",
		`{keyPosition, encodePosition(to)},`, ``, "./storage -run TestOpen|TestStore|TestApply|TestNewEpoch|TestEpochs"},
	{"readers see a batch before its commit", "storage/batch.go",
		`	db.step("put")
`, `	db.publish(b, to)
	db.step("put")
`, "./storage -run TestApply|TestOutbox|TestCounters|TestStore|TestOpen"},
	{"a batch is tried again after its commit failed", "storage/room.go",
		`		db.broken = cause
		return cause`, `		return cause`, "./storage -timeout 30s -run TestApply"},
	{"the tenant is left out of the id's key", "storage/keys.go",
		`return binary.BigEndian.AppendUint32(idPrefix(k, id), tenant)`, `return binary.BigEndian.AppendUint32(idPrefix(k, id), 1)`, "./storage"},
	{"a resource stays in the list that it has left", "storage/flush.go",
		`b.listed.mark(listKey(tenant, kind, was), t.number, false)`, ``, "./storage"},
	{"a chunk of a set that became empty stays", "storage/numbers.go",
		`case len(is) == 0:`, `case len(is) == 0 && len(o.was) == 0:`, "./storage -run TestSets|TestCheck|TestApply"},
	{"what expires is a minute too much", "storage/keys.go",
		`numberKey(uint64((t + minute - 1) / minute))`, `numberKey(uint64(t / minute))`, "./storage -run TestExpire|TestHistory"},
	{"what left a status is still counted in it", "storage/flush.go",
		`b.counts[countKey{tenant, kind, was}]--`, ``, "./storage"},
	{"what is expired depends on the borders of batches", "storage/batch.go",
		`err := b.tick(entries[i].StreamTime)`, `err := b.tick(entries[0].StreamTime)`, "./storage"},
	{"what is deleted stays in the state hash", "storage/table.go",
		`if len(was) > 0 {
		b.hash -= t.sum(key, was)`, `if len(was) > 0 && len(is) > 0 {
		b.hash -= t.sum(key, was)`, "./storage"},
	{"a telling shows the resource as of the end of its batch", "storage/outbox.go",
		`Fault: was.Fault, Resource: *is}`, `Fault: was.Fault, Resource: b.order[len(b.order)-1].resource}`, "./storage -run TestOutbox"},
	{"a recovery by deletion is not told", "storage/outbox.go",
		`cleared := was.Status == sm.Error && is.Status != sm.Error`,
		`cleared := was.Status == sm.Error && is.Status != sm.Error && is.Status != sm.Deleted`, "./storage -run TestOutbox"},
	{"the history loses its newest fault", "storage/flush.go",
		`if old && i != newestFault {`, `if old && i+newestFault >= -1 {`, "./storage -run TestExpire|TestHistory"},
	{"numbers are given out again after a restart", "storage/flush.go",
		`{keyNext, numberKey(b.next)},`, ``, "./storage"},
	{"a checksum that does not fit is taken", "storage/table.go",
		`if !t.fits(key, record) {`, `if len(record) < checksumSize {`, "./storage"},
	{"a new epoch begins with the numbers of the old one", "storage/epoch.go",
		`Base: max(ends.Ordinal()+1, first) - first}`, `Base: ends.Base}`, "./storage"},
	{"a gap is not recorded", "storage/epoch.go",
		`		b.gaps = append(b.gaps, row)
`, ``, "./storage -run TestGaps|TestEpochs"},
}
