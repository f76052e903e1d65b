// Package disk is a disk that tells on its users: a file system in user space, loopback to a directory, that records
// in order all that would have to reach the platters, fails where it is told to, and from whose record the state
// after a power cut at any moment can be made.
//
// The file system lives in a process of its own (the test's own program, started again: [Main]). A store maps its
// file into memory, and a thread that waits for a page of it cannot be stopped by Go's garbage collector: were that
// page to come from the same process, both would wait for ever.
//
// It has one level of directories, the volumes; each is a disk of its own, with a record and a fault of its own.
package disk
