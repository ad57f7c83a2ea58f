; What runs beneath the emitted code: the calls from Python and from native code, and the threads. No Numba.
;
; A step is `i32 step(ptr result, ptr exception, i64 table)`, a tile function `i32 tile(ptr, ptr, i64 number, i64 table)`:
; Numba's calling convention. They raise nothing; a step's result is its status.
; {HEADER} is the size of a Python object's header, which NumPy's array struct begins with.

declare void @PyErr_SetInterrupt()
declare ptr @PyFloat_FromDouble(double)
declare ptr @PyLong_FromLong(i64)
declare ptr @PyEval_SaveThread()
declare void @PyEval_RestoreThread(ptr)
declare i32 @PyGILState_Check()
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
declare i32 @sched_yield()
declare i32 @pthread_mutex_init(ptr, ptr)
declare i32 @pthread_mutex_lock(ptr)
declare i32 @pthread_mutex_unlock(ptr)
declare i32 @pthread_cond_init(ptr, ptr)
declare i32 @pthread_cond_wait(ptr, ptr)
declare i32 @pthread_cond_broadcast(ptr)

; ---- a call ---------------------------------------------------------------------------------------------------------

%Array = type { [{HEADER} x i8], ptr, i32, ptr, ptr, ptr, ptr, i32 } ; ..., data, ndim, shape, strides, base, dtype, flags

; What a door knows of one array that it takes: its dtype object, its number of axes, bytes of an element, the row of
; the table for its address, the rows for its shape (null for a result).
%Slot = type { ptr, i64, i64, ptr, ptr }

; step, table, busy, scalars, how many scalars, the function that makes a larger arena, the status that asks for it, the
; bytes of what the step keeps, how many ranges of memory it writes, where those are, how many steps to run, where the
; scalars of each go (null: nowhere, where there is one step and one scalar), NumPy's array type, how many arrays it takes,
; which.
%Door = type { ptr, i64, ptr, ptr, i64, ptr, i64, i64, i64, ptr, i64, ptr, ptr, i64, [0 x %Slot] }

; A builtin function whose `self` is a NumPy array that holds a Door. Returns the first scalar result as a float, or an
; int: the status, {UNSUITABLE} for arrays that Python must see to, {IS_BUSY} for a step
; that another thread runs.
define ptr @graphc_enter(ptr %self, ptr %arrays, i64 %given) {
  %scalar = alloca double
  %at = getelementptr %Array, ptr %self, i64 0, i32 1
  %door = load ptr, ptr %at
  %wanted.at = getelementptr %Door, ptr %door, i64 0, i32 13
  %wanted = load i64, ptr %wanted.at
  %agree = icmp eq i64 %given, %wanted
  br i1 %agree, label %binding, label %unsuitable

binding:
  %busy.at = getelementptr %Door, ptr %door, i64 0, i32 2
  %busy = load ptr, ptr %busy.at
  %was = atomicrmw xchg ptr %busy, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %each, label %occupied

each:
  %n = phi i64 [ 0, %binding ], [ %n.next, %bound ]
  %bytes = phi i64 [ 0, %binding ], [ %bytes.next, %bound ]
  %all = icmp eq i64 %n, %wanted
  br i1 %all, label %ready, label %bind

bind:
  %array.at = getelementptr ptr, ptr %arrays, i64 %n
  %array = load ptr, ptr %array.at
  %slot = getelementptr %Door, ptr %door, i64 0, i32 14, i64 %n
  %size = call i64 @bind(ptr %door, ptr %slot, ptr %array)
  %bytes.next = add i64 %bytes, %size
  %fits = icmp sge i64 %size, 0
  br i1 %fits, label %bound, label %unfit

bound:
  %n.next = add i64 %n, 1
  br label %each

ready: ; other Python threads run meanwhile if it is worth their while
  %steps.at = getelementptr %Door, ptr %door, i64 0, i32 10
  %steps = load i64, ptr %steps.at
  %results.at = getelementptr %Door, ptr %door, i64 0, i32 11
  %results.given = load ptr, ptr %results.at
  %unread = icmp eq ptr %results.given, null
  %results = select i1 %unread, ptr %scalar, ptr %results.given
  %kept.at = getelementptr %Door, ptr %door, i64 0, i32 7
  %kept = load i64, ptr %kept.at
  %touched = add i64 %kept, %bytes
  %long = icmp sgt i64 %touched, {LONG}
  br i1 %long, label %unlocked, label %locked

locked:
  %status.locked = call i64 @run_and_leave(ptr %door, i64 %steps, ptr %results)
  br label %finish

unlocked:
  %thread = call ptr @PyEval_SaveThread()
  %status.unlocked = call i64 @run_and_leave(ptr %door, i64 %steps, ptr %results)
  call void @PyEval_RestoreThread(ptr %thread)
  br label %finish

finish:
  %status = phi i64 [ %status.locked, %locked ], [ %status.unlocked, %unlocked ]
  %failed = icmp ne i64 %status, 0
  br i1 %failed, label %answer, label %loss

loss:
  %first = load double, ptr %results
  %float = call ptr @PyFloat_FromDouble(double %first)
  ret ptr %float

unfit:
  store atomic i64 0, ptr %busy release, align 8
  br label %unsuitable

unsuitable:
  br label %answer

occupied:
  br label %answer

answer:
  %code = phi i64 [ %status, %finish ], [ {UNSUITABLE}, %unsuitable ], [ {IS_BUSY}, %occupied ]
  %int = call ptr @PyLong_FromLong(i64 %code)
  ret ptr %int
}

; Of an array or a number that native code gives: its address, and its shape.
%Given = type { i64, ptr }

; A call from native code, whose types are known to fit: one step. Stores the scalar results, and returns the status or
; {UNSUITABLE} for an input that lies where the step writes. Waits while another thread runs the step; whoever holds the
; GIL lets others have it meanwhile, since that thread may need it.
define i64 @graphc_step(ptr %door, ptr %given, ptr %results) {
  %wanted.at = getelementptr %Door, ptr %door, i64 0, i32 13
  %wanted = load i64, ptr %wanted.at
  %busy.at = getelementptr %Door, ptr %door, i64 0, i32 2
  %busy = load ptr, ptr %busy.at
  br label %wait

wait:
  %turns = phi i64 [ 0, %0 ], [ %turns.next, %pause ], [ 0, %yield ], [ 0, %unlock ]
  %was = atomicrmw xchg ptr %busy, i64 1 acquire
  %free = icmp eq i64 %was, 0
  br i1 %free, label %each, label %occupied

occupied:
  %turns.next = add i64 %turns, 1
  %tired = icmp ugt i64 %turns, {SPINS}
  br i1 %tired, label %patience, label %pause

pause:
  call void {PAUSE}
  br label %wait

patience:
  %holds = call i32 @PyGILState_Check()
  %holds.it = icmp ne i32 %holds, 0
  br i1 %holds.it, label %unlock, label %yield

unlock:
  %thread = call ptr @PyEval_SaveThread()
  %yielded.unlocked = call i32 @sched_yield()
  call void @PyEval_RestoreThread(ptr %thread)
  br label %wait

yield:
  %yielded = call i32 @sched_yield()
  br label %wait

each:
  %n = phi i64 [ 0, %wait ], [ %n.next, %place ]
  %all = icmp eq i64 %n, %wanted
  br i1 %all, label %ready, label %place

place:
  %slot = getelementptr %Door, ptr %door, i64 0, i32 14, i64 %n
  %data.at = getelementptr %Given, ptr %given, i64 %n, i32 0
  %data = load i64, ptr %data.at
  %shape.at = getelementptr %Given, ptr %given, i64 %n, i32 1
  %shape = load ptr, ptr %shape.at
  %size = call i64 @place(ptr %door, ptr %slot, i64 %data, ptr %shape)
  %n.next = add i64 %n, 1
  %fits = icmp sge i64 %size, 0
  br i1 %fits, label %each, label %unfit

ready:
  %status = call i64 @run_and_leave(ptr %door, i64 1, ptr %results)
  ret i64 %status

unfit:
  store atomic i64 0, ptr %busy release, align 8
  ret i64 {UNSUITABLE}
}

; Writes an array's address and shape into the table, and returns its bytes; -1 if the native code cannot take it as it is.
define internal i64 @bind(ptr %door, ptr %slot, ptr %array) {
  %type.at = getelementptr i8, ptr %array, i64 {TYPE}
  %type = load ptr, ptr %type.at
  %type.wanted.at = getelementptr %Door, ptr %door, i64 0, i32 12
  %type.wanted = load ptr, ptr %type.wanted.at
  %is.array = icmp eq ptr %type, %type.wanted
  br i1 %is.array, label %look, label %no

look:
  %dtype.at = getelementptr %Array, ptr %array, i64 0, i32 6
  %dtype = load ptr, ptr %dtype.at
  %dtype.wanted = load ptr, ptr %slot
  %dtype.fits = icmp eq ptr %dtype, %dtype.wanted
  %flags.at = getelementptr %Array, ptr %array, i64 0, i32 7
  %flags = load i32, ptr %flags.at
  %flags.set = and i32 %flags, 257 ; NPY_ARRAY_C_CONTIGUOUS, NPY_ARRAY_ALIGNED
  %flags.fit = icmp eq i32 %flags.set, 257
  %ndim.at = getelementptr %Array, ptr %array, i64 0, i32 2
  %ndim.32 = load i32, ptr %ndim.at
  %ndim = sext i32 %ndim.32 to i64
  %ndim.wanted.at = getelementptr %Slot, ptr %slot, i64 0, i32 1
  %ndim.wanted = load i64, ptr %ndim.wanted.at
  %ndim.fits = icmp eq i64 %ndim, %ndim.wanted
  %some.fit = and i1 %dtype.fits, %flags.fit
  %all.fit = and i1 %some.fit, %ndim.fits
  br i1 %all.fit, label %take, label %no

take:
  %data.at = getelementptr %Array, ptr %array, i64 0, i32 1
  %data = load i64, ptr %data.at
  %shape.at = getelementptr %Array, ptr %array, i64 0, i32 3
  %shape = load ptr, ptr %shape.at
  %bytes = call i64 @place(ptr %door, ptr %slot, i64 %data, ptr %shape)
  ret i64 %bytes

no:
  ret i64 -1
}

; Writes the address and the shape of an array that fits into the table, and returns the bytes of an input, 0 for a
; result; -1 for an input that lies in memory which the step writes: it would change while it is read.
define internal i64 @place(ptr %door, ptr %slot, i64 %data, ptr %shape) {
  %address.at = getelementptr %Slot, ptr %slot, i64 0, i32 3
  %address = load ptr, ptr %address.at
  store i64 %data, ptr %address
  %rows.at = getelementptr %Slot, ptr %slot, i64 0, i32 4
  %rows = load ptr, ptr %rows.at
  %is.result = icmp eq ptr %rows, null
  br i1 %is.result, label %yes, label %input

input:
  %ndim.at = getelementptr %Slot, ptr %slot, i64 0, i32 1
  %ndim = load i64, ptr %ndim.at
  %itemsize.at = getelementptr %Slot, ptr %slot, i64 0, i32 2
  %itemsize = load i64, ptr %itemsize.at
  br label %axes

axes:
  %axis = phi i64 [ 0, %input ], [ %axis.next, %measure ]
  %bytes = phi i64 [ %itemsize, %input ], [ %bytes.next, %measure ]
  %measured = icmp eq i64 %axis, %ndim
  br i1 %measured, label %apart, label %measure

measure:
  %size.at = getelementptr i64, ptr %shape, i64 %axis
  %size = load i64, ptr %size.at
  %row.at = getelementptr i64, ptr %rows, i64 %axis
  store i64 %size, ptr %row.at
  %bytes.next = mul i64 %bytes, %size
  %axis.next = add i64 %axis, 1
  br label %axes

apart:
  %end = add i64 %data, %bytes
  %count.at = getelementptr %Door, ptr %door, i64 0, i32 8
  %count = load i64, ptr %count.at
  %ranges.at = getelementptr %Door, ptr %door, i64 0, i32 9
  %ranges = load ptr, ptr %ranges.at
  br label %ranges.each

ranges.each:
  %r = phi i64 [ 0, %apart ], [ %r.next, %range ]
  %r.all = icmp eq i64 %r, %count
  br i1 %r.all, label %yes, label %range

range:
  %from.at = getelementptr [2 x i64], ptr %ranges, i64 %r, i64 0
  %from = load i64, ptr %from.at
  %to.at = getelementptr [2 x i64], ptr %ranges, i64 %r, i64 1
  %to = load i64, ptr %to.at
  %starts.before = icmp ult i64 %data, %to
  %ends.after = icmp ult i64 %from, %end
  %overlap = and i1 %starts.before, %ends.after
  %r.next = add i64 %r, 1
  br i1 %overlap, label %no, label %ranges.each

yes:
  %fitting = phi i64 [ 0, %0 ], [ %bytes, %ranges.each ]
  ret i64 %fitting

no:
  ret i64 -1
}

; Runs the step so many times, stores the scalars of each, and lets other threads enter. The first status that is not 0
; ends it and is returned; but where the arena is too small, a larger one is made and the step repeated.
define internal i64 @run_and_leave(ptr %door, i64 %steps, ptr %results) {
  %result = alloca i64
  %exception = alloca ptr
  %step = load ptr, ptr %door
  %table.at = getelementptr %Door, ptr %door, i64 0, i32 1
  %table = load i64, ptr %table.at
  %busy.at = getelementptr %Door, ptr %door, i64 0, i32 2
  %busy = load ptr, ptr %busy.at
  %scalars.at = getelementptr %Door, ptr %door, i64 0, i32 3
  %scalars = load ptr, ptr %scalars.at
  %count.at = getelementptr %Door, ptr %door, i64 0, i32 4
  %count = load i64, ptr %count.at
  %grow.at = getelementptr %Door, ptr %door, i64 0, i32 5
  %grow = load ptr, ptr %grow.at
  %too.small.at = getelementptr %Door, ptr %door, i64 0, i32 6
  %too.small = load i64, ptr %too.small.at
  %bytes = mul i64 %count, 8
  br label %each

each:
  %n = phi i64 [ 0, %0 ], [ %n, %grown ], [ %n, %interrupted ], [ %n.next, %read ]
  %ignored = call i32 %step(ptr %result, ptr %exception, i64 %table)
  %status = load i64, ptr %result
  %is.short = icmp eq i64 %status, %too.small
  br i1 %is.short, label %grown, label %ran

grown:
  %larger = call i64 %grow()
  switch i64 %larger, label %each [
    i64 0, label %end
    i64 {INTERRUPTED}, label %interrupted
  ]

interrupted: ; Ctrl-C was pressed while Python made the arena: it is pressed again, for the caller
  call void @PyErr_SetInterrupt()
  br label %each

ran:
  %ok = icmp eq i64 %status, 0
  br i1 %ok, label %read, label %end

read:
  %offset = mul i64 %n, %bytes
  %into = getelementptr i8, ptr %results, i64 %offset
  call void @llvm.memcpy.p0.p0.i64(ptr %into, ptr %scalars, i64 %bytes, i1 false)
  %n.next = add i64 %n, 1
  %more = icmp ult i64 %n.next, %steps
  br i1 %more, label %each, label %end

end:
  store atomic i64 0, ptr %busy release, align 8
  ret i64 %status
}

; ---- threads --------------------------------------------------------------------------------------------------------
;
; One region runs at a time: `count` tiles, which the caller and the workers take one after another. A ticket is
; `region << 32 | next tile`, and all ones in its low half while no region is open. A worker takes a tile by adding 1 to
; the very ticket that it read, so what it read of the region meanwhile was true: a region is only rewritten while the
; ticket is closed. A worker that finds nothing to do spins, then yields, then sleeps.

@ticket = internal global i64 4294967295, align 128
@finished = internal global i64 0, align 128
@region.tile = internal global ptr null, align 128
@region.table = internal global i64 0
@region.count = internal global i64 0
@region.helpers = internal global i64 0
@owner = internal global i64 0, align 128
@sleepers = internal global i64 0, align 128
@mutex = internal global [128 x i8] zeroinitializer, align 128
@wake = internal global [128 x i8] zeroinitializer, align 128

; No region, no worker: at the start, and in the child of a fork.
define void @graphc_reset() {
  %mutex.ok = call i32 @pthread_mutex_init(ptr @mutex, ptr null)
  %wake.ok = call i32 @pthread_cond_init(ptr @wake, ptr null)
  store atomic i64 4294967295, ptr @ticket seq_cst, align 8
  store atomic i64 0, ptr @owner seq_cst, align 8
  store atomic i64 0, ptr @sleepers seq_cst, align 8
  ret void
}

; Runs tile(0), ..., tile(count - 1), on at most so many threads, and returns when all are done.
define void @graphc_run(ptr %tile, i64 %count, i64 %table, i64 %threads) {
  %result = alloca i64
  %exception = alloca ptr
  %one.thread = icmp sle i64 %threads, 1
  %one.tile = icmp sle i64 %count, 1
  %simple = or i1 %one.thread, %one.tile
  br i1 %simple, label %alone, label %claim

claim:
  %pair = cmpxchg ptr @owner, i64 0, i64 1 acquire monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %open, label %alone

alone:
  %n = phi i64 [ 0, %0 ], [ 0, %claim ], [ %n.next, %run.alone ]
  %n.more = icmp slt i64 %n, %count
  br i1 %n.more, label %run.alone, label %return

run.alone:
  %ignored.alone = call i32 %tile(ptr %result, ptr %exception, i64 %n, i64 %table)
  %n.next = add i64 %n, 1
  br label %alone

return:
  ret void

open:
  %last = load atomic i64, ptr @ticket monotonic, align 8
  %last.region = and i64 %last, -4294967296
  %region = add i64 %last.region, 4294967296
  store atomic ptr %tile, ptr @region.tile monotonic, align 8
  store atomic i64 %table, ptr @region.table monotonic, align 8
  store atomic i64 %count, ptr @region.count monotonic, align 8
  %helpers = sub i64 %threads, 1
  store atomic i64 %helpers, ptr @region.helpers monotonic, align 8
  store atomic i64 0, ptr @finished monotonic, align 8
  store atomic i64 %region, ptr @ticket seq_cst, align 8
  %asleep = load atomic i64, ptr @sleepers seq_cst, align 8
  %none.asleep = icmp eq i64 %asleep, 0
  br i1 %none.asleep, label %take, label %rouse

rouse:
  %locked = call i32 @pthread_mutex_lock(ptr @mutex)
  %roused = call i32 @pthread_cond_broadcast(ptr @wake)
  %let.go = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %take

take:
  %taken = atomicrmw add ptr @ticket, i64 1 acq_rel
  %number = and i64 %taken, 4294967295
  %some = icmp ult i64 %number, %count
  br i1 %some, label %run, label %wait

run:
  %ignored = call i32 %tile(ptr %result, ptr %exception, i64 %number, i64 %table)
  %counted = atomicrmw add ptr @finished, i64 1 acq_rel
  br label %take

wait:
  %turns = phi i64 [ 0, %take ], [ %turns.next, %pause ], [ 0, %yield ]
  %now = load atomic i64, ptr @finished acquire, align 8
  %complete = icmp eq i64 %now, %count
  br i1 %complete, label %close, label %patience

patience:
  %turns.next = add i64 %turns, 1
  %tired = icmp ugt i64 %turns, {SPINS}
  br i1 %tired, label %yield, label %pause

pause:
  call void {PAUSE}
  br label %wait

yield:
  %yielded = call i32 @sched_yield()
  br label %wait

close:
  %closed = or i64 %region, 4294967295
  store atomic i64 %closed, ptr @ticket release, align 8
  store atomic i64 0, ptr @owner release, align 8
  ret void
}

; What a worker thread does, for ever. Worker `number` helps in regions that want more helpers than that.
define void @graphc_work(i64 %number) {
  %result = alloca i64
  %exception = alloca ptr
  br label %look

look:
  %idle = phi i64 [ 0, %0 ], [ %idle.next, %pause ], [ %idle.next, %yield ], [ 0, %missed ], [ 0, %run ], [ 0, %awake ]
  %ticket = load atomic i64, ptr @ticket acquire, align 8
  %tile.number = and i64 %ticket, 4294967295
  %count = load atomic i64, ptr @region.count monotonic, align 8
  %helpers = load atomic i64, ptr @region.helpers monotonic, align 8
  %tile = load atomic ptr, ptr @region.tile monotonic, align 8
  %table = load atomic i64, ptr @region.table monotonic, align 8
  %some = icmp ult i64 %tile.number, %count
  %wanted = icmp ult i64 %number, %helpers
  %open = icmp ne i64 %tile.number, 4294967295
  %both = and i1 %some, %wanted
  %work = and i1 %both, %open
  br i1 %work, label %take, label %rest

take:
  %next = add i64 %ticket, 1
  %pair = cmpxchg ptr @ticket, i64 %ticket, i64 %next acq_rel monotonic
  %mine = extractvalue { i64, i1 } %pair, 1
  br i1 %mine, label %run, label %missed

missed:
  br label %look

run:
  %ignored = call i32 %tile(ptr %result, ptr %exception, i64 %tile.number, i64 %table)
  %counted = atomicrmw add ptr @finished, i64 1 acq_rel
  br label %look

rest:
  %idle.next = add i64 %idle, 1
  %spinning = icmp ult i64 %idle, {SPINS}
  br i1 %spinning, label %pause, label %tired

pause:
  call void {PAUSE}
  br label %look

tired:
  %yielding = icmp ult i64 %idle, {YIELDS}
  br i1 %yielding, label %yield, label %sleep

yield:
  %yielded = call i32 @sched_yield()
  br label %look

sleep: ; whoever opens a region sees a sleeper, or the sleeper sees the region
  %locked = call i32 @pthread_mutex_lock(ptr @mutex)
  %one.more = atomicrmw add ptr @sleepers, i64 1 seq_cst
  br label %check

check:
  %current = load atomic i64, ptr @ticket seq_cst, align 8
  %same = icmp eq i64 %current, %ticket
  br i1 %same, label %dream, label %awake

dream:
  %woken = call i32 @pthread_cond_wait(ptr @wake, ptr @mutex)
  br label %check

awake:
  %one.less = atomicrmw sub ptr @sleepers, i64 1 seq_cst
  %unlocked = call i32 @pthread_mutex_unlock(ptr @mutex)
  br label %look
}
