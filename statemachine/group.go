package statemachine

// Group is all faults with one fingerprint.
type Group struct {
	Fingerprint string
	Kind        Kind
	Action      Action
	Code        int
	Reason      string
	Message     string // of the faults, without what differs from one to the other
	Cause       Cause

	Active  uint64 // resources that are in ERROR with it
	Total   uint64 // times that a resource came into ERROR with it
	Tenants uint64 // tenants that ever had it
	First   Time   // when the first of them happened
	Last    Time   // when the newest happened
	Touched Time   // stream time at which a resource last came or left

	Samples []Resource // the newest of those in ERROR, at most three
	Shared  []Share    // what they have in common, the most telling first
}

// Share is an attribute's value that resources of a group have more often than others.
type Share struct {
	Attribute string
	Value     string
	Count, Of uint64 // so many of so many of the group
}
