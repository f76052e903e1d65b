// Package alert tells people and machines of faults: it sends what stands on the stream FAULTS to the hooks of a file. A hook is
// told of every event that it wants at least once, in the order of each resource, and of what it gets twice it can tell by the
// id. One that does not answer delays no other.
//
// # Who sends
//
// Replicas share the work by hook. A key of the bucket [Bucket] says which of them sends (lease.go): it is written anew every
// three seconds, holds for ten, and whoever waits for it takes it over once it has not seen it change for ten seconds by its own
// clock. A replica that stops gives it back, so that another follows at once; one that is started again under the same name takes
// it at once too. One that loses it, or cannot renew it in time, ends
// its requests; what it had in hand is sent by the next one, with the same ids.
//
// # Where an event is, and what is left of it when the process ends there
//
//   - In FAULTS, not handed out. The hook's durable consumer, hook-NAME, hands it out to whoever sends. The server may keep at most
//     20,000 events handed out and not acknowledged; beyond that they wait in FAULTS.
//   - On the desk (desk.go): handed out, held back by min_error_for, gathered in a group, behind an earlier event of its resource,
//     or in a request. It is not acknowledged. While the process lives it tells the server so every few seconds; when it ends, the
//     server hands the event out again to the next one. What was gathered is gathered anew: no group has
//     been sent that the bucket does not know.
//   - In a request, alone. It is acknowledged after the answer; if the process ends between the two, it is sent again with the
//     same id, its own.
//   - In a request, with its group. A group's id is made of its members', so the same members must stay together. Before a group
//     is first sent it is written to the bucket (try.NAME.ID) with the sequences of its members, which are acknowledged then. If
//     the process ends before the writing, there was no group; after it, the next one sends that very group, and knows a member that
//     is handed out again since its acknowledgement was lost. The bucket forgets the group a second after it was delivered; if the
//     process ends within that second, the group is sent again, with its id.
//   - Waiting for another attempt. A message that failed is written to the bucket with the number of its attempts, then its events are
//     acknowledged: so a receiver that is down for three days fills neither the server's count of unanswered events nor is hurt by
//     FAULTS growing out of its limit. That is why the delay is in the bucket and not in the server's own (NakWithDelay), which
//     would begin anew after a crash, count crashes as attempts, and bring events back in any order. The message stays in memory
//     too: where somebody deletes the bucket, it is written again after the next attempt.
//   - Given up, after ten attempts in 75 hours: on the dead list (dead.NAME.ID), until it is redelivered. If the process ends between
//     the writing there and the removal of the try, it is tried once more.
//
// A replica that writes to the bucket just as it loses its lease may do so after the next one has read it: who sends looks every
// minute for messages that it does not know.
//
// So a message is sent at most as often as it is tried, plus once for each process that ended, or lost its lease, between a
// request and what it had to write after it.
//
// # Order
//
// Of one resource, nothing goes on while an earlier message of it is under way or waits for another attempt; but events of one
// open group go together. The order is the stream's. What was handed out to a process that is gone would be handed out again
// after twenty seconds, and new events at once: so whoever takes over has the server wait one second only (feed.settle), and
// sends nothing new before it has everything that is unanswered (feed.ordered). The same happens when a delivery's number shows
// that one was lost on the connection. Should the server never hand out what it counts, it goes on after forty seconds and says so.
//
// # What others break
//
//   - No connection: sending goes on with what is in hand, until the lease runs out after ten seconds. What was answered and could not be
//     acknowledged by then is sent again with the same id.
//   - FAULTS is missing: it is waited for, and all that is in it once it is there is told. Deleted and made anew: all of the
//     new one is told; of the old one what is in hand.
//   - The durable consumer is deleted: it is made again behind the last event before which all were settled, which the bucket has
//     (state.NAME, written every five seconds where it moves). What was settled after that is known to the replica that sends, and
//     comes again, with the same ids, only if that one is gone too; a group may then come with other members.
//   - The bucket is deleted: it is made again; the leases are taken again; what waits for another attempt is in the memory of the
//     replica that sends. The dead lists are gone. If the consumer is gone as well, the hook begins at the end of FAULTS, like a new one.
//   - A hook leaves the file: its consumer and what the bucket has stay. When it comes back under that name, it goes on where it was. To
//     forget it, delete the consumer hook-NAME and the bucket's keys.
//   - A hook changes: what is under way ends, and goes on by the new entry. One that is unchanged is not disturbed.
//   - The receiver answers 410: the hook is disabled (disabled.NAME), for all replicas, until its entry in the file changes. FAULTS keeps
//     what is told meanwhile, and it is sent then.
//   - The receiver answers 429 or 503 with Retry-After: the hook sends nothing for that long. The attempt counts, and the next is not
//     before its time by the schedule.
//
// # What is not told as it comes
//
// min_error_for holds an event back until the resource has been in ERROR for that long, by the times at which the stream took them;
// what has left ERROR by then is counted and not sent. renotify_after tells again by what the store holds, at whole multiples of that
// time since the fault; a reminder is not repeated over a change of replicas. Four entries into ERROR within ten minutes are
// flapping, which the messages say; nothing is held back for that. That is remembered by the process alone.
//
// To an Alertmanager counts what is so, not what was: every 30 seconds it is told all that the store holds in ERROR, and what has
// left it within the last five minutes; an event makes that happen at once. An alert that failed and has something newer of its
// resource behind it is not tried again.
package alert
