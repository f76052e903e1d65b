package storage

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"slices"

	sm "faultd/statemachine"
)

// Relations are the attributes by which jobs of the backup family refer to each other. The first byte of a key
// tells them apart, behind the tenant number; the numbers are stored.
const (
	byBackup  = 'b' // backup_id
	byExport  = 'e' // export_id
	byProduct = 'p' // product
	byVault   = 'v' // vault
)

// maxRelation is the longest value in bytes by which resources are related.
const maxRelation = 256

// references are the values by which a resource is related to others.
type references struct{ Backup, Export, Product, Vault string }

// referencesOf reads each value by itself: one of another type than text relates nothing and hides no other.
func referencesOf(attributes sm.Attributes) (refs references) {
	if len(attributes) == 0 {
		return refs
	}
	var members map[string]json.RawMessage
	if json.Unmarshal(attributes, &members) != nil {
		return refs
	}
	for name, to := range map[string]*string{"backup_id": &refs.Backup, "export_id": &refs.Export, "product": &refs.Product, "vault": &refs.Vault} {
		_ = json.Unmarshal(members[name], to) // what is no text stays empty
	}
	return refs
}

func relationPrefix(tenant uint32, relation byte, value string) []byte {
	key := binary.BigEndian.AppendUint32(make([]byte, 0, len(value)+16), tenant)
	key = append(append(key, relation), value...)
	return append(key, 0)
}

// relationKeys are the keys under which a resource stands, none for one that does not exist.
func relationKeys(r *sm.Resource, tenant uint32, number uint64) (keys [][]byte) {
	if !r.Kind.JobLike() || r.Status == 0 {
		return nil
	}
	refs := referencesOf(r.Attributes)
	add := func(relation byte, value string) {
		if value == "" || len(value) > maxRelation || slices.Contains([]byte(value), 0) {
			return
		}
		key := append(relationPrefix(tenant, relation, value), byte(r.Kind), byte(r.Status))
		keys = append(keys, binary.BigEndian.AppendUint64(key, number))
	}
	add(byBackup, refs.Backup)
	add(byExport, refs.Export)
	add(byProduct, refs.Product)
	add(byVault, refs.Vault)
	return keys
}

// relate moves the resource among those that it is related to.
func (b *batch) relate(t *touched) error {
	was, is := &t.before, &t.resource
	if !is.Kind.JobLike() || was.Status == is.Status && string(was.Attributes) == string(is.Attributes) {
		return nil
	}
	for _, key := range relationKeys(was, t.tenant, t.number) {
		if err := b.relations.delete(key); err != nil {
			return err
		}
	}
	for _, key := range relationKeys(is, t.tenant, t.number) {
		if err := b.relations.put(key, nil); err != nil {
			return err
		}
	}
	return nil
}

// newestRelated is the newest resource of a kind and status that is related so, or false.
func (db *DB) newestRelated(tenant string, relation byte, value string, kind sm.Kind, status sm.Status) (r sm.Resource, ok bool, err error) {
	err = db.view(func(v view) error {
		number := v.tenant(tenant)
		if number == 0 {
			return nil
		}
		prefix := append(relationPrefix(number, relation, value), byte(kind), byte(status))
		k, _ := seekBelow(v.relations.cursor(), prefix, 0)
		if k == nil {
			return nil
		}
		ok = true
		r, err = v.related(k, tenant, number)
		return err
	})
	return r, ok, err
}

// related is the resource to which a relation leads.
func (v view) related(key []byte, tenant string, tenantNumber uint32) (sm.Resource, error) {
	number := binary.BigEndian.Uint64(key[len(key)-8:])
	r, _, err := v.resource(number)
	if err == nil && (r.Tenant != tenant ||
		!slices.ContainsFunc(relationKeys(&r, tenantNumber, number), func(k []byte) bool { return bytes.Equal(k, key) })) {
		err = v.misplaced(v.relations, key, r.Key)
	}
	return r, err
}

// NewestExport is the newest COMPLETED export of a backup, or false where there is none.
func (db *DB) NewestExport(tenant, backupID string) (sm.Resource, bool, error) {
	return db.newestRelated(tenant, byBackup, backupID, sm.Export, sm.Completed)
}

// InProgress is the newest job of a kind that is queued or in progress for a product, or false where there is none.
func (db *DB) InProgress(tenant, product string, kind sm.Kind) (sm.Resource, bool, error) {
	r, ok, err := db.newestRelated(tenant, byProduct, product, kind, sm.InProgress)
	if err != nil || ok {
		return r, ok, err
	}
	return db.newestRelated(tenant, byProduct, product, kind, sm.Queued)
}

// JobsOf returns the exports, imports, restores and migrations that name a backup, by kind and status, the oldest
// first, at most limit.
func (db *DB) JobsOf(tenant, backupID string, limit int) ([]sm.Resource, error) {
	return db.related(tenant, byBackup, backupID, limit)
}

func (db *DB) related(tenant string, relation byte, value string, limit int) (all []sm.Resource, err error) {
	err = db.view(func(v view) error {
		number := v.tenant(tenant)
		if number == 0 {
			return nil
		}
		prefix := relationPrefix(number, relation, value)
		c := v.relations.cursor()
		for k, _ := c.seek(prefix); len(k) == len(prefix)+10 && string(k[:len(prefix)]) == string(prefix) && len(all) < limit; k, _ = c.next() {
			r, err := v.related(k, tenant, number)
			if err != nil {
				return err
			}
			all = append(all, r)
		}
		return nil
	})
	return all, err
}

// maxVault is how many of a vault's jobs of one kind and status are looked at.
const maxVault = 32

// SharedVault tells whether another of the newest jobs of the resource's vault was done by another agent on another
// host: two agents that write to one vault spoil each other's backups.
func (db *DB) SharedVault(r *sm.Resource) (shared bool) {
	vault := referencesOf(r.Attributes).Vault
	own := writerOf(r.Attributes)
	if vault == "" || own == (writer{}) {
		return false
	}
	_ = db.view(func(v view) error {
		tenant := v.tenant(r.Tenant)
		for _, status := range r.Kind.Statuses() {
			prefix := append(relationPrefix(tenant, byVault, vault), byte(r.Kind), byte(status))
			c := v.relations.cursor()
			looked := 0
			for k, _ := seekBelow(c, prefix, 0); len(k) == len(prefix)+8 && bytes.HasPrefix(k, prefix) && looked < maxVault && !shared; k, _ = c.prev() {
				other, err := v.related(k, r.Tenant, tenant)
				if err != nil {
					return err
				}
				shared = own.clashes(writerOf(other.Attributes))
				looked++
			}
		}
		return nil
	})
	return shared
}

// writer is who writes to a vault.
type writer struct{ agent, host string }

func writerOf(attributes sm.Attributes) (w writer) {
	var members map[string]json.RawMessage
	if len(attributes) == 0 || json.Unmarshal(attributes, &members) != nil {
		return w
	}
	_ = json.Unmarshal(members["agent_id"], &w.agent) // what is no text stays empty
	if json.Unmarshal(members["host"], &w.host) != nil {
		_ = json.Unmarshal(members["hostId"], &w.host)
	}
	return w
}

// clashes tells whether two writers are two agents on two hosts.
func (w writer) clashes(x writer) bool {
	return w.agent != "" && x.agent != "" && w.agent != x.agent && w.host != "" && x.host != "" && w.host != x.host
}
