/* sluice.pml - the log, the keeper and the recovery of a run, for Spin: see docs/model.md.
 *
 * A run of two steps: the hard gate G, and B below it, each with two attempts. What a process does
 * between two moments at which a crash would make a difference is one atomic action. What the
 * engine does next is `pc`, so that a crash is a change of `pc` between any two actions. The disk
 * has a cache: a crash leaves it, a power cut takes any end of it that was not synced.
 *
 * There are at most ACCIDENTS of them, of any kind: a kill of the engine or of the keeper, a power
 * cut, a sync that fails. Each PLANT_* plants an error that must be found. */
#ifndef ACCIDENTS
#define ACCIDENTS 2
#endif

#define LIVES (ACCIDENTS + 1)
#define LINES (13 + LIVES)
#define CONNS 5 /* LIVES at most: four accidents */

/* Tokens: an attempt of a step each. */
#define G0     0
#define G1     1
#define B0     2
#define B1     3
#define TOKENS 4
#define NOBODY 4

#define step_of(t)      ((t) / 2)
#define is_last(t)      ((t) % 2)
#define GATE            0
#define BELOW           1

/* ------------------------------------------------------------------------------- the log */

/* A line is what * 4 + token. */
#define L_CREATED   1 /* durable before anything else: a run is born whole (S11.8) */
#define L_RESUMED   2
#define L_STARTED   3
#define L_SUCCEEDED 4
#define L_FAILED    5 /* a class that is not retried; of G: it said no */
#define L_TRANSIENT 6 /* step.failed with a class that is */
#define L_LOST      7
#define L_RETRIED   8
#define L_GATE      9 /* gate.failed */
#define L_SKIPPED   10
#define L_COMPLETED 11
#define L_FUSED     63 /* two halves of lines in one: nobody can read it, nor what is behind it */

#define line(what, t) ((what) * 4 + (t))

byte lines[LINES];
byte disk = 1;  /* so many are on the disk, whatever happens */
byte cache = 1; /* so many are in the file, for whoever reads it now */
byte known;     /* so many are in the memory of the engine that lives */
byte told;      /* so many were acknowledged to somebody */
bool torn;      /* behind the last whole line there is a part of one */
bool bad;       /* a sync failed: what is not on the disk counts as clean, and no sync will write it */

/* ------------------------------------------------------------- the state: a fold of lines */

#define PENDING   0
#define RUNNING   1
#define SUCCEEDED 2
#define FAILED    3 /* for good */
#define RETRYABLE 4 /* failed, and step.retried is what follows */
#define SKIPPED   5

byte state[2];
byte attempt[2];
bool is_gate_recorded;
bool is_completed;
byte epoch; /* the number of the last run.created or run.resumed */
byte boot_of[TOKENS]; /* in which boot its step.started was written */

bool reruns; /* on_lost: rerun, for both steps; else fail */

inline apply(l, n)
{
	if
	:: (l) / 4 == L_CREATED || (l) / 4 == L_RESUMED -> epoch = (n) + 1
	:: (l) / 4 == L_STARTED -> state[step_of((l) % 4)] = RUNNING
	:: (l) / 4 == L_SUCCEEDED -> state[step_of((l) % 4)] = SUCCEEDED
	:: (l) / 4 == L_FAILED -> state[step_of((l) % 4)] = FAILED
	:: (l) / 4 == L_TRANSIENT ->
		state[step_of((l) % 4)] = (is_last((l) % 4) -> FAILED : RETRYABLE)
	:: (l) / 4 == L_LOST ->
		state[step_of((l) % 4)] = (!reruns || is_last((l) % 4) -> FAILED : RETRYABLE)
	:: (l) / 4 == L_RETRIED ->
		state[step_of((l) % 4)] = PENDING;
		attempt[step_of((l) % 4)] = (l) % 2
	:: (l) / 4 == L_GATE -> is_gate_recorded = true
	:: (l) / 4 == L_SKIPPED -> state[BELOW] = SKIPPED
	:: (l) / 4 == L_COMPLETED -> is_completed = true
	fi
}

/* What the engine that lives knows is gone with it. */
inline forget()
{
	state[0] = PENDING;
	state[1] = PENDING;
	attempt[0] = 0;
	attempt[1] = 0;
	is_gate_recorded = false;
	is_completed = false;
	epoch = 0;
	known = 0
}

inline fold()
{
	forget();
	do
	:: known < cache && lines[known] != L_FUSED -> apply(lines[known], known); known++
	:: else -> break
	od
}

inline record(l)
{
	assert(known < LINES);
	lines[known] = l;
	apply(l, known);
	known++
}

/* S5.4: the gate counts as failed from its step.failed on; gate.failed may be missing yet. */
#ifdef PLANT_GATE_BY_EVENT
#define is_gate_open (state[GATE] == SUCCEEDED || (state[GATE] == FAILED && !is_gate_recorded))
#else
#define is_gate_open (state[GATE] == SUCCEEDED)
#endif

inline begin(t)
{
	boot_of[t] = boot;
	record(line(L_STARTED, t))
}

/* decide_next: what follows from the state alone, one line after the other until nothing does. */
inline decide()
{
	do
	:: state[GATE] == RUNNING || state[BELOW] == RUNNING || is_completed -> break
	:: state[GATE] == PENDING -> begin(attempt[GATE])
	:: state[GATE] == RETRYABLE -> record(line(L_RETRIED, G1))
	:: state[GATE] == FAILED && !is_gate_recorded && !is_gate_open -> record(line(L_GATE, 0))
	:: is_gate_open && state[BELOW] == PENDING -> begin(B0 + attempt[BELOW])
	:: state[GATE] == FAILED && is_gate_recorded && state[BELOW] == PENDING ->
		record(line(L_SKIPPED, B0))
	:: state[BELOW] == RETRYABLE -> record(line(L_RETRIED, B1))
	:: state[BELOW] == SUCCEEDED || state[BELOW] == FAILED || state[BELOW] == SKIPPED ->
		record(line(L_COMPLETED, 0))
	od
}

/* ----------------------------------------------------------------------------- the world */

byte boot;
byte accidents = ACCIDENTS; /* that may still happen */
byte life; /* which engine */

/* Commands. */
#define C_NONE  0
#define C_LIVES 1
#define C_OK    2
#define C_NO    3
#define C_AGAIN 4 /* it failed with a class that is retried */
#define C_GONE  5 /* killed */

byte command[TOKENS];
bool executed[TOKENS];

/* attempts.log. A keeper of another boot wrote nothing that counts, so a power cut empties it. */
#define R_NONE  0
#define R_ARMED 1
#define R_ENDED 2

byte recorded[TOKENS];

#define FREE       0
#define OF_ENGINE  1
#define OF_KEEPER  2

byte lock; /* keeper.lock; run.lock is held as long as an engine lives: there is one at most */

/* The keeper. */
#define K_NONE     0
#define K_STARTING 1
#define K_RUNS     2
#define K_ENDING   3

byte keeper;
byte keeper_epoch;

#define A_NONE      0
#define A_ARMING    1
#define A_SPAWNING  2
#define A_RUNNING   3
#define A_RECORDING 4
#define A_ENDED     5
#define A_LOST      6

byte attempts[TOKENS]; /* its table */

#define is_busy(t) (attempts[t] >= A_ARMING && attempts[t] <= A_RECORDING)

/* A connection for each engine: what its keeper did not read yet, and where it stands. */
bool is_open[CONNS];    /* both ends, or what the dead one left in it */
bool is_greeted[CONNS]; /* its hello was taken */
bool has_hello[CONNS];
byte has_start[CONNS] = NOBODY; /* a token, NOBODY = none */
byte epochs[CONNS];

/* What the engine that lives did not read yet. */
bool has_table;
byte table;  /* of the token it asks for: as `attempts` */
bool has_report;

/* The engine. */
#define E_NONE    0
#define E_OPEN    1  /* has run.lock */
#define E_RESUME  2
#define E_WRITE   3
#define E_SYNC    4
#define E_PERFORM 5
#define E_SETTLE  6  /* a command is under way, or was: which? */
#define E_BY_LOG  7  /* has keeper.lock: no keeper lives */
#define E_BY_KEEPER 8
#define E_HAND    9
#define E_JOINED  10 /* has keeper.lock, and starts a keeper */
#define E_WAIT    11

byte pc;
bool is_settled;   /* this engine knows of what ran before it */
bool is_connected; /* by conn `life` */
byte token = NOBODY; /* the attempt under way */

bool over;

inline close_conn(i)
{
	is_open[i] = false;
	is_greeted[i] = false;
	has_hello[i] = false;
	has_start[i] = NOBODY;
	epochs[i] = 0
}

/* The process is gone: of a kill, or by itself. What it sent and nobody read stays in the
 * connection for its keeper; what it was sent does not. */
inline end_engine()
{
	i = cache;
	do
	:: i < known -> lines[i] = 0; i++
	:: else -> break
	od;
	forget();
	pc = E_NONE;
	lock = (lock == OF_ENGINE -> FREE : lock);
	if
	:: is_connected && !has_hello[life] && has_start[life] == NOBODY -> close_conn(life)
	:: else
	fi;
	is_connected = false;
	is_settled = false;
	token = NOBODY;
	has_table = false;
	table = 0;
	has_report = false;
	i = 0
}

inline end_keeper()
{
	keeper = K_NONE;
	keeper_epoch = 0;
	lock = (lock == OF_KEEPER -> FREE : lock);
	i = 0;
	do
	:: i < TOKENS -> attempts[i] = A_NONE; i++
	:: else -> break
	od;
	i = 0;
	do
	:: i < CONNS -> close_conn(i); i++
	:: else -> break
	od;
	i = 0
}

#define is_broken (is_connected && !is_open[life])


/* ---------------------------------------------------------------------------- the engine */

/* The token of the step that runs by its line, NOBODY when none does. */
inline look_up()
{
	token = (state[GATE] == RUNNING -> attempt[GATE] :
		 (state[BELOW] == RUNNING -> B0 + attempt[BELOW] : NOBODY))
}

/* What the executor says of the attempt becomes a line, and what follows from it more lines. */
inline take_end(t)
{
	assert(executed[t] && command[t] != C_LIVES && command[t] != C_GONE); /* S1.3 */
	if
	:: command[t] == C_OK -> record(line(L_SUCCEEDED, t))
	:: command[t] == C_NO ->
		record(line(L_FAILED, t));
#ifdef PLANT_GATE_BY_EVENT
		if
		:: step_of(t) == GATE -> record(line(L_GATE, 0))
		:: else
		fi
#endif
	:: command[t] == C_AGAIN -> record(line(L_TRANSIENT, t))
	fi;
	decide();
	token = NOBODY;
	pc = E_WRITE
}

inline take_lost(t)
{
#ifndef PLANT_NO_SWEEP
	command[t] = (command[t] == C_LIVES -> C_GONE : command[t]);
#endif
	record(line(L_LOST, t));
	decide();
	token = NOBODY;
	pc = E_WRITE
}

inline send_hello()
{
	assert(epoch <= disk); /* S8.3 */
	is_connected = true;
	is_open[life] = true;
	has_hello[life] = true;
	epochs[life] = epoch
}

#ifdef PLANT_REBOOT_UNNOTICED
#define is_of_this_boot true
#else
#define is_of_this_boot (boot_of[token] == boot)
#endif

#define is_listening (keeper == K_STARTING || keeper == K_RUNS)

proctype Engine()
{
	byte i;

	do
	/* Somebody resumes the run: run.lock is taken. */
	:: atomic {
		pc == E_NONE && !over -> life++; pc = E_OPEN
	}
	/* log_open: read, copied to a new file that is synced; a torn tail is cut off. */
	:: d_step {
		pc == E_OPEN ->
#ifdef PLANT_TRUST_THE_CACHE
		disk = (bad -> disk : cache);
#else
		disk = cache;
		bad = false;
#endif
#ifndef PLANT_TORN_TAIL_STAYS
		torn = false;
#endif
		fold();
		assert(known >= told); /* S1.5: what was acknowledged is there, and can be read */
		pc = E_RESUME
	}
	/* The new file cannot be synced: the old one stays. */
	:: d_step { pc == E_OPEN && accidents > 0 -> accidents--; end_engine() }
	/* engine_resume: why it owns the run is durable before anybody is asked what runs. */
	:: d_step {
		pc == E_RESUME && !is_completed -> record(line(L_RESUMED, 0)); pc = E_WRITE
	}
	:: d_step { pc == E_RESUME && is_completed -> pc = E_PERFORM }
	/* log_commit: one write, one sync. */
	:: d_step {
		pc == E_WRITE ->
		if
		:: torn && known > cache -> lines[cache] = L_FUSED
		:: else
		fi;
		torn = false;
		cache = known;
		pc = E_SYNC
	}
	:: d_step {
		pc == E_SYNC ->
#ifndef PLANT_NO_SYNC
		disk = (bad -> disk : cache);
#endif
		look_up();
		pc = (is_settled -> E_PERFORM : E_SETTLE)
	}
	/* S11.3: it is not tried again, and nothing is done. */
	:: d_step {
		pc == E_SYNC && accidents > 0 && disk < cache ->
		accidents--;
		bad = true;
#ifdef PLANT_SYNC_AGAIN
		look_up();
		pc = (is_settled -> E_PERFORM : E_SETTLE)
#else
		end_engine()
#endif
	}
	/* engine_perform, answer_asks, tell_observer. */
	:: d_step {
		pc == E_PERFORM ->
		assert(cache <= disk); /* S1.2: nothing is acknowledged that is not durable */
		told = cache;
		if
		:: token == NOBODY -> assert(is_completed); over = true; end_engine()
		:: else -> pc = E_HAND
		fi
	}
	/* client_start: by the connection that is there, by a new one, or to a new keeper (join). */
	:: d_step {
		pc == E_HAND && is_connected && !is_broken ->
		has_start[life] = token;
		pc = E_WAIT
	}
	:: d_step {
		pc == E_HAND && is_broken && !has_table && !has_report ->
		is_connected = false;
		pc = E_SETTLE
	}
	:: d_step { pc == E_HAND && !is_connected && lock == FREE -> lock = OF_ENGINE; pc = E_JOINED }
	:: d_step {
		pc == E_HAND && !is_connected && is_listening ->
		send_hello();
		has_start[life] = token;
		pc = E_WAIT
	}
	:: d_step { /* os_start: the lock goes over to the keeper */
		pc == E_JOINED ->
		lock = OF_KEEPER;
		keeper = K_STARTING;
		send_hello();
		has_start[life] = token;
		pc = E_WAIT
	}
	/* attempts_recover, client_recover, settle. */
	:: d_step {
		pc == E_SETTLE && token == NOBODY ->
		is_settled = true;
		decide();
		pc = E_WRITE
	}
	:: d_step {
		pc == E_SETTLE && token != NOBODY && !is_of_this_boot ->
		is_settled = true;
		take_lost(token)
	}
	:: d_step {
		pc == E_SETTLE && token != NOBODY && is_of_this_boot && lock == FREE ->
		is_settled = true;
		lock = OF_ENGINE;
		pc = E_BY_LOG
	}
	:: d_step {
		pc == E_SETTLE && token != NOBODY && is_of_this_boot && is_listening ->
		is_settled = true;
		send_hello();
		pc = E_BY_KEEPER
	}
	/* settle_by_log: no keeper lives. */
	:: d_step {
		pc == E_BY_LOG ->
		lock = FREE;
		if
		:: recorded[token] == R_NONE -> pc = E_HAND
		:: recorded[token] == R_ENDED -> take_end(token)
		:: recorded[token] == R_ARMED -> take_lost(token)
		fi
	}
	/* settle_by_keeper, report_take. */
	:: d_step {
		(pc == E_BY_KEEPER || pc == E_WAIT) && has_table ->
		has_table = false;
		if
		:: table == A_NONE && pc == E_BY_KEEPER -> pc = E_HAND
		:: table == A_NONE && pc == E_WAIT
		:: table >= A_ARMING && table <= A_RECORDING -> pc = E_WAIT
		:: table == A_ENDED -> take_end(token)
		:: table == A_LOST -> take_lost(token)
		fi;
		table = 0
	}
	:: d_step { pc == E_WAIT && has_report && !has_table -> has_report = false; take_end(token) }
	/* client_pump: what was sent before the end is read before the end is believed. */
#ifndef PLANT_DEAF
	:: d_step {
		(pc == E_WAIT || pc == E_BY_KEEPER) && is_broken && !has_table && !has_report ->
		is_connected = false;
		pc = E_SETTLE
	}
#endif
	:: over -> break
	od
}

/* ---------------------------------------------------------------------------- the keeper */

/* The connection ends at the engine that lives. */
#define is_heard(c) (is_connected && (c) == life)

/* machine.c, take_hello: the newest engine is the only one. */
inline take_hello(c)
{
	has_hello[c] = false;
	if
	:: epochs[c] < keeper_epoch -> close_conn(c)
	:: else ->
		keeper_epoch = epochs[c];
		is_greeted[c] = true;
#ifndef PLANT_OLD_FRAMES
		i = 0;
		do
		:: i < CONNS ->
			if
			:: i < c || (i != c && is_greeted[i]) -> close_conn(i)
			:: else
			fi;
			i++
		:: else -> break
		od;
		i = 0;
#endif
		if
		:: is_heard(c) -> has_table = true; table = attempts[token]
		:: else
		fi
	fi
}

/* machine.c, take_start: a token that is known is not started again, its state is told (S8.2). */
inline take_start(c)
{
	if
#ifdef PLANT_OLD_FRAMES
	:: attempts[has_start[c]] == A_NONE || attempts[has_start[c]] == A_ENDED ->
#else
	:: attempts[has_start[c]] == A_NONE ->
#endif
		attempts[has_start[c]] = A_ARMING
	:: else ->
		if
		:: is_heard(c) -> has_table = true; table = attempts[has_start[c]]
		:: else
		fi
	fi;
	has_start[c] = NOBODY
}

inline is_line_durable(l, ret)
{
	i = 0;
	ret = false;
	do
	:: i < disk -> ret = (lines[i] == (l) -> true : ret); i++
	:: else -> break
	od;
	i = 0
}

/* child_spawn. What is about to be executed: by which right? */
inline execute(t)
{
	is_line_durable(line(L_STARTED, t), is_there);
	assert(is_there); /* S1.2 */
	is_line_durable(line(L_LOST, t), is_there);
	assert(!is_there); /* it is over */
	assert(!executed[t]); /* S8.2 */
	assert(command[(t) ^ 1] != C_LIVES); /* S8.3: not beside an earlier attempt */
	if
	:: step_of(t) == BELOW -> /* S1.4, S5.5: by what the gate's command did, and by the log */
		is_line_durable(line(L_SUCCEEDED, G0), is_there);
		if
		:: is_there -> assert(command[G0] == C_OK)
		:: else ->
			is_line_durable(line(L_SUCCEEDED, G1), is_there);
			assert(is_there && command[G1] == C_OK)
		fi
	:: else
	fi;
	executed[t] = true;
	command[t] = C_LIVES;
	is_there = false
}

#define CONN_ACTIONS(c) \
	:: d_step { keeper == K_RUNS && has_hello[c] -> take_hello(c) } \
	:: d_step { keeper == K_RUNS && is_greeted[c] && has_start[c] != NOBODY && \
		    !(is_heard(c) && has_table) -> take_start(c) } \
	:: d_step { keeper == K_RUNS && is_open[c] && !is_heard(c) && !has_hello[c] && \
		    has_start[c] == NOBODY -> close_conn(c) }

#ifdef PLANT_EXECUTE_BEFORE_ARMED
#define ARM_ACTIONS(t) \
	:: d_step { attempts[t] == A_ARMING -> execute(t); attempts[t] = A_SPAWNING } \
	:: d_step { attempts[t] == A_SPAWNING -> recorded[t] = R_ARMED; attempts[t] = A_RUNNING }
#else
#define ARM_ACTIONS(t) \
	:: d_step { attempts[t] == A_ARMING -> recorded[t] = R_ARMED; attempts[t] = A_SPAWNING } \
	:: d_step { attempts[t] == A_SPAWNING -> execute(t); attempts[t] = A_RUNNING }
#endif

#define TOKEN_ACTIONS(t) \
	ARM_ACTIONS(t) \
	:: d_step { attempts[t] == A_RUNNING && command[t] != C_LIVES -> attempts[t] = A_RECORDING } \
	:: d_step { \
		attempts[t] == A_RECORDING -> \
		recorded[t] = R_ENDED; \
		attempts[t] = A_ENDED; \
		has_report = (is_connected && is_greeted[life] && token == t -> true : has_report) \
	}

#define is_idle (!is_busy(G0) && !is_busy(G1) && !is_busy(B0) && !is_busy(B1))
#define is_alone (!is_open[0] && !is_open[1] && !is_open[2] && !is_open[3] && !is_open[4])

proctype Keeper()
{
	byte i;
	bool is_there;

	do
	:: d_step { /* records_load */
		keeper == K_STARTING ->
		do
		:: i < TOKENS ->
			attempts[i] = (recorded[i] == R_ENDED -> A_ENDED :
				       (recorded[i] == R_ARMED -> A_LOST : A_NONE));
			i++
		:: else -> break
		od;
		i = 0;
		keeper = K_RUNS
	}
	CONN_ACTIONS(0)
	CONN_ACTIONS(1)
	CONN_ACTIONS(2)
	CONN_ACTIONS(3)
	CONN_ACTIONS(4)
	TOKEN_ACTIONS(G0)
	TOKEN_ACTIONS(G1)
	TOKEN_ACTIONS(B0)
	TOKEN_ACTIONS(B1)
	/* S8.1: no engine is connected, no command lives, every end is written. */
	:: d_step { keeper == K_RUNS && is_alone && is_idle -> keeper = K_ENDING }
	:: d_step { keeper == K_ENDING -> end_keeper() }
	:: over && keeper == K_NONE -> break
	od
}

/* -------------------------------------------------------------------------- the commands */

#define ENDS(t) \
	:: atomic { \
		command[t] == C_LIVES -> \
		if \
		:: command[t] = C_OK \
		:: command[t] = C_NO \
		:: command[t] = C_AGAIN \
		fi \
	}

proctype Commands()
{
	do
	ENDS(G0)
	ENDS(G1)
	ENDS(B0)
	ENDS(B1)
	:: over && keeper == K_NONE -> break
	od
}

/* ------------------------------------------------------------------------- the accidents */

/* A write that was cut off: any number of its lines, and perhaps a part of the next one. */
inline cut_write()
{
	do
	:: cache < known -> cache++
	:: break
	od;
	if
	:: cache < known -> torn = true
	:: true
	fi
}

inline vanish(t)
{
	command[t] = (command[t] == C_LIVES -> C_GONE : command[t]);
	recorded[t] = R_NONE
}

proctype Accidents()
{
	byte i;

	do
	:: atomic { /* kill -9 of the engine */
		accidents > 0 && pc != E_NONE ->
		accidents--;
		if
		:: pc == E_WRITE && !torn -> cut_write()
		:: else
		fi;
		d_step { end_engine() }
	}
	:: atomic { /* of the keeper; its command dies with it, or does not */
		accidents > 0 && is_listening ->
		accidents--;
		if
		:: d_step {
			i = 0;
			do
			:: i < TOKENS -> command[i] = (command[i] == C_LIVES -> C_GONE : command[i]); i++
			:: else -> break
			od
		}
		:: true
		fi;
		d_step { end_keeper() }
	}
	:: atomic { /* the power goes: what was not synced is there up to some line */
		accidents > 0 ->
		accidents--;
		if
		:: pc == E_WRITE && !torn -> cut_write()
		:: else
		fi;
		d_step { end_engine(); end_keeper() };
		d_step { vanish(G0); vanish(G1); vanish(B0); vanish(B1); boot++; bad = false };
		do
		:: cache > disk -> cache--; lines[cache] = 0; torn = true
		:: break
		od;
		if
		:: torn = false
		:: torn
		fi;
		disk = cache
	}
	:: over && keeper == K_NONE -> break
	od
}

init
{
	atomic {
		lines[0] = line(L_CREATED, 0);
		pc = E_OPEN;
		if
		:: reruns = true
		:: reruns = false
		fi;
		run Engine();
		run Keeper();
		run Commands();
		run Accidents()
	}
}
