/* SPDX-License-Identifier: GPL-2.0 OR Linux-OpenIB */
/*
 * One page of a mirror, and all that meets there: two accessors (one reads, one writes, for ever), one fault thread, one
 * invalidation (the page goes, or it is write-protected), and the release of a region or none. Each step stands for a
 * function of kernel/umem_odp, which its comment names. spin goes through every interleaving of them.
 *
 * With REGIONS 1 both accessors use one region, with 2 each has its own, and the first one's is released.
 *
 * What holds in every state:
 *
 *	an access touches only what the process's page tables map, for writing if it writes: so not after the invalidation
 *	of the page has returned, since the kernel changes the page tables only then
 *	nobody touches memory through a region, or wakes for it, when its release has returned
 *	what no region covers is not in the table when the release has returned
 *	nobody waits for another for ever (spin's own search for invalid end states)
 *
 * and what comes in the end, if each process that can go on does (weak fairness): the formulas at the end of this file.
 *
 * BREAK_... leave out one thing each that the proof needs; tests/model/spin.sh wants spin to find what that does.
 *
 * What is simpler here. Memory is sequentially consistent. What a lock is held for is one step, if nothing is waited for
 * meanwhile: so only who touches memory holds leaf->lock, and only an install that waits for him chunk->lock. There is one
 * page, one leaf at a time, a chunk that stays, one fault thread that is never too long idle, and an owner that lives. An
 * accessor does not give a wait up, and asks for a fault without another look. hmm_range_fault() is one look.
 */

#ifndef REGIONS
#define REGIONS 1
#endif
#define REGION(i)	(REGIONS == 1 -> 0 : i)
#define WRITES(i)	(i == 1)
#define NONE		2

/* The process, as its page tables tell: the frame that is mapped, 0 for none, and whether for writing. */
byte mapped;
bool mapped_write;
byte next_frame = 1;

/* The kernel's mmu_notifier_subscriptions.invalidate_seq, odd while it invalidates, and the chunk's notifier's. */
byte mm_seq = 2;
byte chunk_seq = 1;
#define READ_BEGIN_GOES_ON	(chunk_seq != mm_seq)

/* struct umem_odp_chunk: its lock, the pass's window, leaves[] of our page. */
bool chunk_lock;
bool window_open, window_hit;
byte leaf = NONE;

/* struct umem_odp_leaf, two: one that was removed is found by some until they leave their RCU sections. */
byte readers[2];
byte closing[2];
byte pins[2];
byte rcu[2];
byte entry[2];
bool entry_write[2];

/* struct umem_odp_region */
bool closed[2];
byte busy[2];
bool in_tree[2] = true;
bool destroyed[2];

/* struct umem_odp_waiter, of each accessor, and where it stands: see queue.c. */
mtype = { nowhere, ready, inside, taken };
mtype place[2] = nowhere;
bool waiting[2];
mtype = { nobody, thread, closer };
mtype claimed[2] = nobody;
bool sleeps[2];		/* from its queuing until its wake() */
bool shut_down[2];	/* what it was told */

/* struct umem_odp_pass, and the wait queue of idle threads. */
bool listed, pass_write, stopped, blocked, next_moved;
bool idle;

bool touches[2], ended[2];
bool invalidated;

/* pass_covers() */
#define COVERS(i)	(listed && !stopped && !next_moved && \
			 (pass_write == WRITES(i) || (pass_write && !blocked)))

/* rcu_dereference(chunk->leaves[]), with rcu_read_lock() before it */
inline find_leaf(l)
{
	l = leaf;
	if
	:: l != NONE -> rcu[l]++
	:: else
	fi
}

/* leaf_remove_if_empty(): the leaf is freed when nobody is in an RCU section with it. */
inline leaf_remove_if_empty(l)
{
	if
	:: pins[l] == 0 && entry[l] == 0 && leaf == l -> leaf = NONE
	:: else
	fi
}

/* umem_odp_queue_call_thread(): wakes the thread if it is idle; a busy one looks when it has done. */
inline call_thread()
{
	idle = false
}

/* A waiter is claimed, it stands nowhere any more. */
inline claim(i, by)
{
	waiting[i] = false;
	place[i] = nowhere;
	claimed[i] = by
}

/* Of umem_odp_queue_wake(): a claimed waiter's wake(), and queue_put_busy(). The region must be there still. */
inline wake(i, by, err)
{
	if
	:: claimed[i] == by ->
		assert(!destroyed[REGION(i)] && busy[REGION(i)] > 0 && sleeps[i]);
		claimed[i] = nobody;
		shut_down[i] = err;
		sleeps[i] = false;
		busy[REGION(i)]--
	:: else
	fi
}

/* What is touched is what the page tables map. */
#define MAY_TOUCH(i, l)	(!destroyed[REGION(i)] && entry[l] == mapped && entry[l] != 0 && \
			 (!WRITES(i) || (entry_write[l] && mapped_write)))

/* A user: it accesses, and where that misses asks for a fault and sleeps until its wake(). */
active [2] proctype accessor()
{
	byte l;
#ifdef BREAK_JOIN_UNLOCKED
	bool joins;
#define JOINS joins
#else
#define JOINS COVERS(_pid)
#endif

again:
	/* access_begin(): closed, access_find_leaf(), umem_odp_leaf_is_closing() */
	atomic {
		if
		:: closed[REGION(_pid)] -> goto end
		:: else
		fi;
		find_leaf(l);
		if
		:: l == NONE -> goto missed
#ifndef BREAK_IGNORE_CLOSING
		:: l != NONE && closing[l] > 0 -> rcu[l]--; goto missed
#endif
		:: else
		fi
	}
	/* read_lock(), closed again, umem_odp_entries_look() */
	atomic {
		if
#ifndef BREAK_CLOSED_ONCE
		:: closed[REGION(_pid)] -> rcu[l]--; goto end
#endif
		:: entry[l] == 0 || (WRITES(_pid) && !entry_write[l]) -> rcu[l]--; goto missed
		:: else
		fi;
		readers[l]++;
		touches[_pid] = true;
		assert(MAY_TOUCH(_pid, l))
	}
	/* The bytes are touched for a while. umem_odp_access_end() */
	atomic {
		assert(MAY_TOUCH(_pid, l));
		touches[_pid] = false;
		readers[l]--;
		rcu[l]--;
		goto again
	}
missed:
#ifdef BREAK_JOIN_UNLOCKED
	joins = COVERS(_pid);
#endif
	/* umem_odp_queue_add() */
	atomic {
#ifndef BREAK_CLOSED_UNLOCKED
		if
		:: closed[REGION(_pid)] -> goto end
		:: else
		fi;
#endif
		busy[REGION(_pid)]++;
		waiting[_pid] = true;
		sleeps[_pid] = true;
		if
		:: JOINS -> place[_pid] = inside
		:: else -> place[_pid] = ready; call_thread()
		fi
	}
	atomic {
		!sleeps[_pid];
		if
		:: !shut_down[_pid] -> goto again
		:: else
		fi
	}
end:
	ended[_pid] = true
}

/* umem_odp_queue_serve(): it claims who waits for what it has put in. */
inline serve()
{
	atomic {
		next_moved = true;
		if
		:: waiting[0] -> claim(0, thread)
		:: else
		fi;
		if
		:: waiting[1] && pass_write -> claim(1, thread)
		:: else
		fi
	}
}

#define SOMEBODY_READY	(place[0] == ready || place[1] == ready)

/* umem_odp_queue_take() and pass_begin(): whose turn it is is left open. */
inline take()
{
	if
	:: place[0] == ready -> place[0] = taken; pass_write = false
	:: place[1] == ready -> place[1] = taken; pass_write = true
	fi;
	/* INIT_LIST_HEAD(&pass->inside): who stood there would be lost. */
	assert(place[0] != inside && place[1] != inside);
	listed = true;
	next_moved = false
}

inline ready_again(i, from)
{
	if
	:: place[i] == inside || place[i] == from -> place[i] = ready
	:: else
	fi
}

/* handle_mm_fault(): the page is there for what it was asked for. */
inline mm_fault()
{
	if
	:: mapped == 0 -> mapped = next_frame
	:: else
	fi;
	mapped_write = mapped_write || pass_write
}

#define COVERED	(in_tree[0] || in_tree[1])

/* umem_odp_entries_set() */
inline install(l)
{
	entry_write[l] = pass_write || (entry[l] == found && entry_write[l]);
	entry[l] = found
}

/* umem_odp_fault_thread() */
active proctype fault_thread()
{
	byte l, found;

next:
	/* thread_wait_for_work() */
	atomic {
		if
		:: SOMEBODY_READY -> take(); goto pass
		:: else
		fi
	}
	/* With nothing to do it sleeps: in wait_event(), which looks again before that. */
	idle = true;
#ifndef BREAK_SLEEP_UNLOOKED
	/* thread_idle_ends() */
	atomic {
		if
		:: SOMEBODY_READY -> idle = false; take(); goto pass
		:: else
		fi
	}
#endif
end_idle:
	atomic { !idle; goto next }

pass:
	/* umem_odp_leaf_get(): finds or makes the leaf, and pins it. */
	atomic {
		!chunk_lock && (leaf != NONE || rcu[0] == 0 || rcu[1] == 0);
		if
		:: leaf != NONE
		:: leaf == NONE && rcu[0] == 0 -> leaf = 0
		:: leaf == NONE && rcu[0] != 0 -> leaf = 1
		fi;
		l = leaf;
#ifndef BREAK_NO_LEAF_PIN
		pins[l]++
#endif
	}
	/* pass_serve_present(): mmu_interval_read_begin(), then a look. */
	atomic {
		READ_BEGIN_GOES_ON;
		if
		:: entry[l] == 0 || (pass_write && !entry_write[l]) -> goto round
		:: else
		fi
	}
	serve();
	goto done;

round:
	/* pass_rounds() looks for a signal; lookup_open_window() */
	atomic {
		!chunk_lock;
		if
		:: stopped -> goto done
		:: else -> window_hit = false; window_open = true
		fi
	}
	READ_BEGIN_GOES_ON;
	/* lookup_locked() */
	atomic {
		found = ((pass_write && !mapped_write) -> 0 : mapped);
		if
		:: found != 0 -> goto found_it
		:: else
		fi
	}
	/* lookup_bring_in(): it comes at once, and is looked up in a new window. Or it does not. */
	if
	:: atomic { mm_fault(); goto round }
	:: true
	fi;
	/* umem_odp_pass_wait(), umem_odp_queue_block() */
	atomic {
		if
		:: !COVERED || stopped || (place[0] != taken && place[1] != taken) -> goto done
		:: else
		fi;
		blocked = true;
		ready_again(0, inside);
		ready_again(1, inside)
	}
	/* The page comes in the end, or a signal does. umem_odp_queue_unblock() */
	if
	:: atomic { mm_fault(); blocked = false }
	:: atomic { stopped; blocked = false }
	fi;
	goto round;

found_it:
	/* install_run(), umem_odp_mirror_covered(), umem_odp_leaf_lock_to_install() */
	atomic {
		!chunk_lock;
		if
#ifndef BREAK_IGNORE_WINDOW
		:: window_hit -> goto round
#endif
		:: else
		fi;
		if
		:: !COVERED -> goto done
		:: COVERED && readers[l] == 0 -> install(l); goto installed
		:: COVERED && readers[l] > 0 -> chunk_lock = true; closing[l]++
		fi
	}
	atomic { readers[l] == 0 -> closing[l]--; install(l); chunk_lock = false }
installed:
	serve();
	atomic { wake(0, thread, false); wake(1, thread, false) }
done:
	/* umem_odp_chunk_close_window(), umem_odp_leaf_put() */
	atomic {
		!chunk_lock;
		window_open = false;
		window_hit = false;
		found = 0;
#ifndef BREAK_NO_LEAF_PIN
		pins[l]--;
#endif
		leaf_remove_if_empty(l)
	}
	/* pass_end(), flush_signals() */
	atomic {
		listed = false;
		stopped = false;
		ready_again(0, taken);
		ready_again(1, taken)
	}
	atomic { wake(0, thread, false); wake(1, thread, false) }
	goto next
}

/* The kernel changes page tables: mmu_notifier_invalidate_range_start(), the change, ..._end(). */
active proctype invalidation()
{
	byte l = NONE;
	bool protect;

	/* MMU_NOTIFY_PROTECTION_PAGE takes the right to write, the others the page. */
	if
	:: atomic { protect = true; mm_seq = 3 }
	:: atomic { protect = false; mm_seq = 3 }
	fi;
	/* invalidate_chunk(): mmu_interval_set_seq(), umem_odp_chunk_hit_windows() */
	atomic {
		!chunk_lock ->
		chunk_seq = mm_seq;
		window_hit = window_open
	}
	/* invalidate_leaf(), umem_odp_leaf_lock() */
	atomic {
		find_leaf(l);
		if
		:: l == NONE -> goto returns
		:: else -> closing[l]++
		fi
	}
	/* invalidate_downgrade(), invalidate_drop() */
	atomic {
#ifndef BREAK_CLEAR_SHARED
		readers[l] == 0;
#endif
		closing[l]--;
		entry_write[l] = false;
		entry[l] = (protect -> entry[l] : 0)
	}
	/* umem_odp_leaf_remove_if_empty() */
	atomic {
		protect || !chunk_lock;
		if
		:: !protect -> leaf_remove_if_empty(l)
		:: else
		fi;
		rcu[l]--
	}
returns:
	/* The page tables change, and the page goes to somebody else. */
	atomic {
		invalidated = true;
		mapped_write = false;
		mapped = (protect -> mapped : 0);
		next_frame = 2
	}
	mm_seq = 4
}

/* umem_odp_region_destroy() of the first region, if it comes to that. */
active proctype release()
{
	byte l = NONE;

	if
	:: true
	:: goto end
	fi;
	/* umem_odp_queue_close() */
	atomic {
		closed[0] = true;
		if
		:: waiting[0] -> claim(0, closer)
		:: else
		fi;
		if
		:: REGION(1) == 0 && waiting[1] -> claim(1, closer)
		:: else
		fi;
		/* queue_stop_unwanted() */
		if
		:: listed && place[0] != taken && place[1] != taken && place[0] != inside && place[1] != inside ->
			stopped = true
		:: else
		fi
	}
	atomic { wake(0, closer, true); wake(1, closer, true) }
	/* umem_odp_queue_is_idle(); umem_odp_mirror_remove(), which takes the region out of the tree */
	atomic { busy[0] == 0 -> in_tree[0] = false; in_tree[1] = (REGIONS == 2) }
#ifndef BREAK_NO_CHUNK_PIN
	/* umem_odp_chunk_get_existing(): who found the page covered has put it in by then. */
	!chunk_lock;
#endif
	/* mirror_uncover_leaf() */
	atomic {
		find_leaf(l);
		if
		:: l == NONE -> goto returns
		:: else -> closing[l]++
		fi
	}
	atomic {
		readers[l] == 0 ->
		closing[l]--;
		if
		:: !COVERED -> entry[l] = 0; entry_write[l] = false
		:: else
		fi
	}
	atomic { !chunk_lock -> leaf_remove_if_empty(l); rcu[l]-- }
returns:
	atomic { destroyed[0] = true; assert(COVERED || leaf == NONE || entry[leaf] == 0) }
end:
	skip
}

/*
 * Accesses, misses and faults do not keep an invalidation off. Of the misses and faults of an access there is an end, with the
 * bytes touched or the region closed: no livelock, and no wake that is lost, since who sleeps for ever does neither. A
 * release returns.
 */
ltl all_goes_on {
	<> invalidated &&
	[] <> (touches[0] || ended[0]) &&
	[] <> (touches[1] || ended[1]) &&
	[] (closed[0] -> <> destroyed[0])
}
