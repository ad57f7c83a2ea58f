; Matrix products on one thread: out = alpha * a @ b + beta * out for row-major a (rows, inner) and b (inner, columns), each
; transposed if so said; a.row, b.row and out.row are the elements from one row to the next. BLAS is column-major; a row-major
; C = A B is the column-major C' = B' A', so the operands change places and nothing is copied.
;
; OpenBLAS copies both operands into its own order before it multiplies. For a product of at most {SMALL} multiplications
; with b not transposed it does not, and is up to twice as fast, if b's rows start with a cache line and lie close together.
; So larger products are cut: b into panels of columns, each copied once (and turned over, if it is transposed) to
; the stack, a into blocks of rows. The sizes of both follow from the shapes alone.

declare void @{BLAS}(ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr, ptr)

define void @{NAME}(i1 %b.turned, i1 %a.turned, i64 %columns, i64 %rows, i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.row, {FLOAT} %beta, ptr %out, i64 %out.row) {
  %b.next = select i1 %b.turned, i64 1, i64 %b.row
  %b.flat = icmp eq i64 %b.next, 1
  %one.column = icmp eq i64 %columns, 1
  %out.flat = icmp eq i64 %out.row, 1
  %turn.1 = and i1 %one.column, %out.flat
  %turn = and i1 %turn.1, %b.flat
  br i1 %turn, label %column, label %as.it.is

column: ; one column is one row of the whole turned over: out' = b' @ a'
  %a.turned.not = xor i1 %a.turned, true
  call void @{NAME}_chosen(i1 %a.turned.not, i1 false, i64 %rows, i64 1, i64 %inner, {FLOAT} %alpha, ptr %a, i64 %a.row, ptr %b, i64 %inner, {FLOAT} %beta, ptr %out, i64 %rows)
  ret void

as.it.is:
  call void @{NAME}_chosen(i1 %b.turned, i1 %a.turned, i64 %columns, i64 %rows, i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.row, {FLOAT} %beta, ptr %out, i64 %out.row)
  ret void
}

; A product with one row or one inner step by thin.ll's parts where they are faster, all others by BLAS.
define internal void @{NAME}_chosen(i1 %b.turned, i1 %a.turned, i64 %columns, i64 %rows, i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.row, {FLOAT} %beta, ptr %out, i64 %out.row) {
start:
  %b.straight = xor i1 %b.turned, true
  %a.next = select i1 %a.turned, i64 %a.row, i64 1
  %a.down = select i1 %a.turned, i64 1, i64 %a.row
  %area = mul i64 %inner, %columns
  %multiplications = mul i64 %area, %rows
  %none = icmp eq i64 %multiplications, 0
  %some = xor i1 %none, true
  %one.row = icmp eq i64 %rows, 1
  %one.step = icmp eq i64 %inner, 1
  ; one inner step: BLAS is better at large matrices
  %b.tight = icmp eq i64 %b.row, 1
  %b.line = or i1 %b.straight, %b.tight
  %outer.small = icmp ule i64 %multiplications, {OUTER}
  %outer.1 = and i1 %one.step, %b.line
  %outer.2 = and i1 %outer.1, %outer.small
  %outer = and i1 %outer.2, %some
  ; one row: BLAS is better at few long columns
  %row.wide = icmp uge i64 %columns, 16
  %row.short = icmp ule i64 %inner, {SHORT}
  %row.1 = or i1 %row.wide, %row.short
  %row.2 = and i1 %row.1, %one.row
  %row.3 = and i1 %row.2, %b.straight
  %row = and i1 %row.3, %some
  ; one row, b transposed: BLAS is better where it copies nothing and the columns are not short
  %a.tight = icmp eq i64 %a.next, 1
  %dots.short = icmp ult i64 %inner, {SHORT}
  %dots.large = icmp ugt i64 %area, {COPIED}
  %dots.1 = or i1 %dots.short, %dots.large
  %dots.2 = and i1 %dots.1, %one.row
  %dots.3 = and i1 %dots.2, %a.tight
  %dots.4 = and i1 %dots.3, %b.turned
  %dots = and i1 %dots.4, %some
  br i1 %outer, label %by.outer, label %no.outer

no.outer:
  br i1 %row, label %by.row, label %no.row

no.row:
  br i1 %dots, label %by.dots, label %by.blas

by.outer:
  %o.first = phi i64 [ 0, %start ], [ %o.next, %by.outer ]
  %o.power = call i64 @{NAME}_widest(i64 %columns, i64 %o.first)
  %o.number = lshr i64 %o.power, 1
  %o.at = getelementptr ptr, ptr @{NAME}_outer_by_width, i64 %o.number
  %o.code = load ptr, ptr %o.at
  %o.b = getelementptr {FLOAT}, ptr %b, i64 %o.first
  %o.out = getelementptr {FLOAT}, ptr %out, i64 %o.first
  call void %o.code(i64 %rows, {FLOAT} %alpha, ptr %o.b, ptr %a, i64 %a.down, {FLOAT} %beta, ptr %o.out, i64 %out.row)
  %o.width = shl i64 1, %o.power
  %o.next = add i64 %o.first, %o.width
  %o.more = icmp ult i64 %o.next, %columns
  br i1 %o.more, label %by.outer, label %done

by.row:
  %r.first = phi i64 [ 0, %no.outer ], [ %r.next, %by.row ]
  %r.power = call i64 @{NAME}_widest(i64 %columns, i64 %r.first)
  %r.number = lshr i64 %r.power, 1
  %r.at = getelementptr ptr, ptr @{NAME}_row_by_width, i64 %r.number
  %r.code = load ptr, ptr %r.at
  %r.b = getelementptr {FLOAT}, ptr %b, i64 %r.first
  %r.out = getelementptr {FLOAT}, ptr %out, i64 %r.first
  call void %r.code(i64 %inner, {FLOAT} %alpha, ptr %r.b, i64 %b.row, ptr %a, i64 %a.next, {FLOAT} %beta, ptr %r.out)
  %r.width = shl i64 1, %r.power
  %r.next = add i64 %r.first, %r.width
  %r.more = icmp ult i64 %r.next, %columns
  br i1 %r.more, label %by.row, label %done

by.dots: ; each part of the inner axis is added to the ones before
  %d.first = phi i64 [ 0, %no.row ], [ %d.next, %by.dots ]
  %d.beta = phi {FLOAT} [ %beta, %no.row ], [ 1.0, %by.dots ]
  %d.power = call i64 @{NAME}_widest(i64 %inner, i64 %d.first)
  %d.left = sub i64 %inner, %d.first
  %d.parts = lshr i64 %d.left, %d.power
  %d.number = lshr i64 %d.power, 1
  %d.at = getelementptr ptr, ptr @{NAME}_dots_by_width, i64 %d.number
  %d.code = load ptr, ptr %d.at
  %d.b = getelementptr {FLOAT}, ptr %b, i64 %d.first
  %d.a = getelementptr {FLOAT}, ptr %a, i64 %d.first
  call void %d.code(i64 %d.parts, i64 %columns, {FLOAT} %alpha, ptr %d.b, i64 %b.row, ptr %d.a, {FLOAT} %d.beta, ptr %out)
  %d.width = shl i64 %d.parts, %d.power
  %d.next = add i64 %d.first, %d.width
  %d.more = icmp ult i64 %d.next, %inner
  br i1 %d.more, label %by.dots, label %done

by.blas:
  call void @{NAME}_by_blas(i1 %b.turned, i1 %a.turned, i64 %columns, i64 %rows, i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.row, {FLOAT} %beta, ptr %out, i64 %out.row)
  ret void

done:
  ret void
}

; thin.ll's parts of 1, 4, 16 and 64 numbers
@{NAME}_outer_by_width = internal constant [4 x ptr] [ptr @{NAME}_outer_1, ptr @{NAME}_outer_4, ptr @{NAME}_outer_16, ptr @{NAME}_outer_64]
@{NAME}_row_by_width = internal constant [4 x ptr] [ptr @{NAME}_row_1, ptr @{NAME}_row_4, ptr @{NAME}_row_16, ptr @{NAME}_row_64]
@{NAME}_dots_by_width = internal constant [4 x ptr] [ptr @{NAME}_dots_1, ptr @{NAME}_dots_4, ptr @{NAME}_dots_16, ptr @{NAME}_dots_64]

; The widest part that fits between what is done and the end: the logarithm of its width, which is a power of 4.
define internal i64 @{NAME}_widest(i64 %end, i64 %done) {
  %left = sub i64 %end, %done
  %zeros = call i64 @llvm.ctlz.i64(i64 %left, i1 true)
  %power = sub i64 63, %zeros
  %even = and i64 %power, -2
  %widest = call i64 @llvm.umin.i64(i64 %even, i64 6)
  ret i64 %widest
}

define internal void @{NAME}_by_blas(i1 %b.turned, i1 %a.turned, i64 %columns, i64 %rows, i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.row, {FLOAT} %beta, ptr %out, i64 %out.row) {
  %b.letter = alloca i8
  %a.letter = alloca i8
  %columns.at = alloca i32
  %rows.at = alloca i32
  %inner.at = alloca i32
  %alpha.at = alloca {FLOAT}
  %beta.at = alloca {FLOAT}
  %b.row.at = alloca i32
  %a.row.at = alloca i32
  %out.row.at = alloca i32
  %b.t = select i1 %b.turned, i8 116, i8 110 ; 't' or 'n'
  %a.t = select i1 %a.turned, i8 116, i8 110
  %columns.32 = trunc i64 %columns to i32
  %rows.32 = trunc i64 %rows to i32
  %inner.32 = trunc i64 %inner to i32
  %b.row.1 = call i64 @llvm.smax.i64(i64 %b.row, i64 1) ; BLAS wants no empty rows
  %a.row.1 = call i64 @llvm.smax.i64(i64 %a.row, i64 1)
  %out.row.1 = call i64 @llvm.smax.i64(i64 %out.row, i64 1)
  %b.row.32 = trunc i64 %b.row.1 to i32
  %a.row.32 = trunc i64 %a.row.1 to i32
  %out.row.32 = trunc i64 %out.row.1 to i32
  store i8 %b.t, ptr %b.letter
  store i8 %a.t, ptr %a.letter
  store i32 %columns.32, ptr %columns.at
  store i32 %rows.32, ptr %rows.at
  store i32 %inner.32, ptr %inner.at
  store {FLOAT} %alpha, ptr %alpha.at
  store {FLOAT} %beta, ptr %beta.at
  store i32 %b.row.32, ptr %b.row.at
  store i32 %a.row.32, ptr %a.row.at
  store i32 %out.row.32, ptr %out.row.at
  call void @{NAME}_at(ptr %b.letter, ptr %a.letter, ptr %columns.at, ptr %rows.at, ptr %inner.at, ptr %alpha.at, ptr %b, ptr %b.row.at, ptr %a, ptr %a.row.at, ptr %beta.at, ptr %out, ptr %out.row.at)
  ret void
}

; The same in BLAS's form: everything is at an address, 't' says that a matrix is transposed, 'n' that it is not.
define internal void @{NAME}_at(ptr %b.turned, ptr %a.turned, ptr %columns.at, ptr %rows.at, ptr %inner.at, ptr %alpha, ptr %b, ptr %b.row, ptr %a, ptr %a.row, ptr %beta, ptr %out, ptr %out.row) {
  %panel = alloca [{PANEL} x {FLOAT}], align 64
  %turned.block = alloca [{PANEL} x {FLOAT}], align 64
  %straight = alloca i8
  %panel.row = alloca i32
  %block.row = alloca i32
  %width.at = alloca i32
  %piece.at = alloca i32
  %one = alloca {FLOAT}
  %height.at = alloca i32
  store i8 110, ptr %straight ; 'n'
  %columns.32 = load i32, ptr %columns.at
  %rows.32 = load i32, ptr %rows.at
  %inner.32 = load i32, ptr %inner.at
  %columns = sext i32 %columns.32 to i64
  %rows = sext i32 %rows.32 to i64
  %inner = sext i32 %inner.32 to i64
  %b.letter = load i8, ptr %b.turned
  %a.letter = load i8, ptr %a.turned
  %b.is.turned = icmp ne i8 %b.letter, 110
  %a.is.turned = icmp ne i8 %a.letter, 110
  %b.row.32 = load i32, ptr %b.row
  %a.row.32 = load i32, ptr %a.row
  %out.row.32 = load i32, ptr %out.row
  %b.step = sext i32 %b.row.32 to i64
  %a.step = sext i32 %a.row.32 to i64
  %out.step = sext i32 %out.row.32 to i64
  %matrix = mul i64 %inner, %columns
  %multiplications = mul i64 %matrix, %rows
  %is.small = icmp ule i64 %multiplications, {SMALL}
  %b.is.straight = xor i1 %b.is.turned, true
  %small = and i1 %is.small, %b.is.straight
  %few.rows = icmp ult i64 %rows, {FEW}
  %few.columns = icmp ult i64 %columns, 16
  ; a transposed a is turned over again for each panel: so one panel takes all columns, if they are few, of shorter pieces
  %out.size = mul i64 %rows, %columns
  %out.large = icmp ugt i64 %out.size, {LARGE}
  %columns.many = icmp ugt i64 %columns, {NARROW}
  %panels.many = or i1 %columns.many, %out.large
  %short.not = or i1 %panels.many, %small
  %short.columns = select i1 %short.not, i64 1, i64 %columns
  %short.some = call i64 @llvm.umax.i64(i64 %short.columns, i64 1)
  %short.any = udiv i64 {PANEL}, %short.some
  %short.8 = and i64 %short.any, -8
  %short = call i64 @llvm.umin.i64(i64 %short.8, i64 {LONGEST})
  %longest = select i1 %a.is.turned, i64 %short, i64 {LONGEST}
  %long = icmp ugt i64 %inner, %longest
  %none = icmp eq i64 %inner, 0
  %unfit.1 = or i1 %few.rows, %few.columns
  %wide.enough = xor i1 %unfit.1, true
  %unfit.3 = or i1 %unfit.1, %none
  ; of a large one and many columns, BLAS makes one copy for all
  %a.size = mul i64 %rows, %inner
  %turns.much = icmp ugt i64 %a.size, {TURNED}
  %turns.1 = and i1 %a.is.turned, %turns.much
  %turns = and i1 %turns.1, %panels.many
  %unfit.4 = or i1 %unfit.3, %turns
  %whole = or i1 %small, %unfit.4
  %turns.not = xor i1 %turns, true
  %piecewise.1 = and i1 %long, %wide.enough
  %piecewise = and i1 %piecewise.1, %turns.not
  br i1 %piecewise, label %pieces, label %choose

choose:
  br i1 %whole, label %plain, label %cut

pieces: ; a long inner axis in pieces, each added to the ones before
  store {FLOAT} 1.0, ptr %one
  br label %piece

piece:
  %p = phi i64 [ 0, %pieces ], [ %p.next, %piece ]
  %p.left = sub i64 %inner, %p
  %p.length = call i64 @llvm.umin.i64(i64 %p.left, i64 %longest)
  %p.length.32 = trunc i64 %p.length to i32
  store i32 %p.length.32, ptr %piece.at
  %p.a.down = mul i64 %p, %a.step
  %p.a = select i1 %a.is.turned, i64 %p.a.down, i64 %p
  %p.b.down = mul i64 %p, %b.step
  %p.b = select i1 %b.is.turned, i64 %p, i64 %p.b.down
  %a.piece = getelementptr {FLOAT}, ptr %a, i64 %p.a
  %b.piece = getelementptr {FLOAT}, ptr %b, i64 %p.b
  %p.first = icmp eq i64 %p, 0
  %p.beta = select i1 %p.first, ptr %beta, ptr %one
  call void @{NAME}_at(ptr %b.turned, ptr %a.turned, ptr %columns.at, ptr %rows.at, ptr %piece.at, ptr %alpha, ptr %b.piece, ptr %b.row, ptr %a.piece, ptr %a.row, ptr %p.beta, ptr %out, ptr %out.row)
  %p.next = add i64 %p, %p.length
  %p.more = icmp ult i64 %p.next, %inner
  br i1 %p.more, label %piece, label %done

plain:
  call void @{BLAS}(ptr %b.turned, ptr %a.turned, ptr %columns.at, ptr %rows.at, ptr %inner.at, ptr %alpha, ptr %b, ptr %b.row, ptr %a, ptr %a.row, ptr %beta, ptr %out, ptr %out.row)
  ret void

cut: ; b as it is, if it is one panel, in one piece, from a cache line's start on; else panels of 128, 64, 32 or 16 columns
  %one.piece = icmp eq i64 %b.step, %columns
  %fits = icmp ule i64 %matrix, {PANEL}
  %address = ptrtoint ptr %b to i64
  %beyond = and i64 %address, 63
  %aligned = icmp eq i64 %beyond, 0
  %as.it.is.1 = and i1 %one.piece, %fits
  %as.it.is.2 = and i1 %as.it.is.1, %aligned
  %as.it.is = and i1 %as.it.is.2, %b.is.straight
  %room = udiv i64 {PANEL}, %inner
  %room.128 = call i64 @llvm.umin.i64(i64 %room, i64 128)
  %zeros = call i64 @llvm.ctlz.i64(i64 %room.128, i1 true)
  %power = sub i64 63, %zeros
  %room.power = shl i64 1, %power
  %widest = select i1 %as.it.is, i64 %columns, i64 %room.power
  br label %panels

panels:
  %first = phi i64 [ 0, %cut ], [ %first.next, %rows.done ]
  %more = icmp ult i64 %first, %columns
  br i1 %more, label %one.panel, label %done

done:
  ret void

one.panel:
  %left = sub i64 %columns, %first
  %width = call i64 @llvm.umin.i64(i64 %left, i64 %widest)
  %width.32 = trunc i64 %width to i32
  store i32 %width.32, ptr %width.at
  store i32 %width.32, ptr %panel.row
  %first.next = add i64 %first, %width
  br i1 %as.it.is, label %ready, label %copy

copy:
  br i1 %b.is.turned, label %turn, label %lines

lines: ; one row of the panel after another
  %k = phi i64 [ 0, %copy ], [ %k.next, %lines ]
  %from.row = mul i64 %k, %b.step
  %from.at = add i64 %from.row, %first
  %from = getelementptr {FLOAT}, ptr %b, i64 %from.at
  %to.at = mul i64 %k, %width
  %to = getelementptr {FLOAT}, ptr %panel, i64 %to.at
  %bytes = mul i64 %width, {BYTES}
  call void @llvm.memcpy.p0.p0.i64(ptr align {BYTES} %to, ptr align {BYTES} %from, i64 %bytes, i1 false)
  %k.next = add i64 %k, 1
  %k.more = icmp ult i64 %k.next, %inner
  br i1 %k.more, label %lines, label %ready

turn: ; {SIDE} columns of the panel at a time: as many rows of b, turned over square by square in registers
  %c.first = phi i64 [ 0, %copy ], [ %c.end, %turned ]
  %c.beyond = add i64 %c.first, {SIDE}
  %c.end = call i64 @llvm.umin.i64(i64 %c.beyond, i64 %width)
  %c.full = icmp ule i64 %c.beyond, %width
  %b.first = add i64 %first, %c.first
  %b.down = mul i64 %b.first, %b.step
  %b.there = getelementptr {FLOAT}, ptr %b, i64 %b.down
  %squares.end = and i64 %inner, -{SIDE}
  %squares.some = icmp ne i64 %squares.end, 0
  %squares = and i1 %c.full, %squares.some
  br i1 %squares, label %turn.square, label %turn.rest

turn.square:
  %s = phi i64 [ 0, %turn ], [ %s.next, %turn.square ]
  %s.from = getelementptr {FLOAT}, ptr %b.there, i64 %s
  %s.row = mul i64 %s, %width
  %s.at = add i64 %s.row, %c.first
  %s.to = getelementptr {FLOAT}, ptr %panel, i64 %s.at
  call void @{NAME}_turned(ptr %s.to, i64 %width, ptr %s.from, i64 %b.step)
  %s.next = add i64 %s, {SIDE}
  %s.more = icmp ult i64 %s.next, %squares.end
  br i1 %s.more, label %turn.square, label %turn.rest

turn.rest:
  %t.first = phi i64 [ 0, %turn ], [ %squares.end, %turn.square ]
  %t.some = icmp ult i64 %t.first, %inner
  br i1 %t.some, label %turn.row, label %turned

turn.row:
  %t = phi i64 [ %t.first, %turn.rest ], [ %t.next, %turned.row ]
  %write.row = mul i64 %t, %width
  br label %turning

turning:
  %c = phi i64 [ %c.first, %turn.row ], [ %c.next, %turning ]
  %row.number = add i64 %first, %c
  %row.start = mul i64 %row.number, %b.step
  %read.at = add i64 %row.start, %t
  %read = getelementptr {FLOAT}, ptr %b, i64 %read.at
  %number = load {FLOAT}, ptr %read
  %write.at = add i64 %write.row, %c
  %write = getelementptr {FLOAT}, ptr %panel, i64 %write.at
  store {FLOAT} %number, ptr %write
  %c.next = add i64 %c, 1
  %c.more = icmp ult i64 %c.next, %c.end
  br i1 %c.more, label %turning, label %turned.row

turned.row:
  %t.next = add i64 %t, 1
  %t.more = icmp ult i64 %t.next, %inner
  br i1 %t.more, label %turn.row, label %turned

turned:
  %panel.more = icmp ult i64 %c.end, %width
  br i1 %panel.more, label %turn, label %ready

ready: ; as many rows at once as keep the product small
  %source = phi ptr [ %b, %one.panel ], [ %panel, %lines ], [ %panel, %turned ]
  %area = mul i64 %inner, %width
  %tallest.any = udiv i64 {SMALL}, %area
  %tallest.8 = and i64 %tallest.any, -8
  %room.block = udiv i64 {PANEL}, %inner
  %tallest = call i64 @llvm.umin.i64(i64 %tallest.8, i64 %room.block)
  br label %blocks

blocks:
  %top = phi i64 [ 0, %ready ], [ %top.next, %multiply ]
  %below = icmp ult i64 %top, %rows
  br i1 %below, label %block, label %rows.done

block:
  %rest = sub i64 %rows, %top
  %height = call i64 @llvm.umin.i64(i64 %rest, i64 %tallest)
  %height.32 = trunc i64 %height to i32
  store i32 %height.32, ptr %height.at
  %a.down = mul i64 %top, %a.step
  %a.offset = select i1 %a.is.turned, i64 %top, i64 %a.down
  %a.there = getelementptr {FLOAT}, ptr %a, i64 %a.offset
  store i32 %a.row.32, ptr %block.row
  br i1 %a.is.turned, label %gather, label %multiply

gather: ; a block of columns is brought together: lines a page apart push each other out of the cache
  store i32 %height.32, ptr %block.row
  br label %gathering

gathering:
  %g = phi i64 [ 0, %gather ], [ %g.next, %gathering ]
  %g.row = mul i64 %g, %a.step
  %g.from = getelementptr {FLOAT}, ptr %a.there, i64 %g.row
  %g.at = mul i64 %g, %height
  %g.to = getelementptr {FLOAT}, ptr %turned.block, i64 %g.at
  %g.bytes = mul i64 %height, {BYTES}
  call void @llvm.memcpy.p0.p0.i64(ptr align {BYTES} %g.to, ptr align {BYTES} %g.from, i64 %g.bytes, i1 false)
  %g.next = add i64 %g, 1
  %g.more = icmp ult i64 %g.next, %inner
  br i1 %g.more, label %gathering, label %multiply

multiply:
  %a.block = phi ptr [ %a.there, %block ], [ %turned.block, %gathering ]
  %out.down = mul i64 %top, %out.step
  %out.offset = add i64 %out.down, %first
  %out.block = getelementptr {FLOAT}, ptr %out, i64 %out.offset
  call void @{BLAS}(ptr %straight, ptr %a.turned, ptr %width.at, ptr %height.at, ptr %inner.at, ptr %alpha, ptr %source, ptr %panel.row, ptr %a.block, ptr %block.row, ptr %beta, ptr %out.block, ptr %out.row)
  %top.next = add i64 %top, %height
  br label %blocks

rows.done:
  br label %panels
}

declare i64 @llvm.umin.i64(i64, i64)
declare i64 @llvm.umax.i64(i64, i64)
declare i64 @llvm.smax.i64(i64, i64)
declare i64 @llvm.ctlz.i64(i64, i1)
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)
