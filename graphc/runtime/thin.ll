; Parts of thin products, {W} numbers at a time: where one row, or one inner step, leaves nothing to be used again, BLAS's
; preparations take longer than the multiplications. Operands as in products.ll; what `out` held counts only where beta
; is not zero: it may be NaN.

; {W} columns of one row: out = alpha * a @ b + beta * out; a.next is the elements from one number of `a` to the next.
define internal void @{NAME}_row_{W}(i64 %inner, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, i64 %a.next, {FLOAT} %beta, ptr %out) {
start:
  br label %step

step:
  %k = phi i64 [ 0, %start ], [ %k.next, %step ]
  %sum = phi <{W} x {FLOAT}> [ zeroinitializer, %start ], [ %sum.next, %step ]
  %a.at = mul i64 %k, %a.next
  %a.k = getelementptr {FLOAT}, ptr %a, i64 %a.at
  %factor = load {FLOAT}, ptr %a.k
  %factor.1 = insertelement <{W} x {FLOAT}> poison, {FLOAT} %factor, i64 0
  %factors = shufflevector <{W} x {FLOAT}> %factor.1, <{W} x {FLOAT}> poison, <{W} x i32> zeroinitializer
  %b.at = mul i64 %k, %b.row
  %b.k = getelementptr {FLOAT}, ptr %b, i64 %b.at
  %numbers = load <{W} x {FLOAT}>, ptr %b.k, align {BYTES}
  %sum.next = call <{W} x {FLOAT}> @llvm.fmuladd.v{W}{KIND}(<{W} x {FLOAT}> %factors, <{W} x {FLOAT}> %numbers, <{W} x {FLOAT}> %sum)
  %k.next = add i64 %k, 1
  %k.more = icmp ult i64 %k.next, %inner
  br i1 %k.more, label %step, label %done

done:
  %alpha.1 = insertelement <{W} x {FLOAT}> poison, {FLOAT} %alpha, i64 0
  %alphas = shufflevector <{W} x {FLOAT}> %alpha.1, <{W} x {FLOAT}> poison, <{W} x i32> zeroinitializer
  %beta.1 = insertelement <{W} x {FLOAT}> poison, {FLOAT} %beta, i64 0
  %betas = shufflevector <{W} x {FLOAT}> %beta.1, <{W} x {FLOAT}> poison, <{W} x i32> zeroinitializer
  %anew = fcmp oeq {FLOAT} %beta, 0.0
  %before = load <{W} x {FLOAT}>, ptr %out, align {BYTES}
  %kept = fmul <{W} x {FLOAT}> %betas, %before
  %base = select i1 %anew, <{W} x {FLOAT}> zeroinitializer, <{W} x {FLOAT}> %kept
  %made = call <{W} x {FLOAT}> @llvm.fmuladd.v{W}{KIND}(<{W} x {FLOAT}> %alphas, <{W} x {FLOAT}> %sum.next, <{W} x {FLOAT}> %base)
  store <{W} x {FLOAT}> %made, ptr %out, align {BYTES}
  ret void
}

; {W} columns of one inner step: out[i, j] = alpha * a[i] * b[j] + beta * out[i, j]; a.next is the elements from one number
; of `a` to the next.
define internal void @{NAME}_outer_{W}(i64 %rows, {FLOAT} %alpha, ptr %b, ptr %a, i64 %a.next, {FLOAT} %beta, ptr %out, i64 %out.row) {
start:
  %numbers = load <{W} x {FLOAT}>, ptr %b, align {BYTES}
  %beta.1 = insertelement <{W} x {FLOAT}> poison, {FLOAT} %beta, i64 0
  %betas = shufflevector <{W} x {FLOAT}> %beta.1, <{W} x {FLOAT}> poison, <{W} x i32> zeroinitializer
  %anew = fcmp oeq {FLOAT} %beta, 0.0
  br label %row

row:
  %i = phi i64 [ 0, %start ], [ %i.next, %row ]
  %a.at = mul i64 %i, %a.next
  %a.i = getelementptr {FLOAT}, ptr %a, i64 %a.at
  %number = load {FLOAT}, ptr %a.i
  %factor = fmul {FLOAT} %alpha, %number
  %factor.1 = insertelement <{W} x {FLOAT}> poison, {FLOAT} %factor, i64 0
  %factors = shufflevector <{W} x {FLOAT}> %factor.1, <{W} x {FLOAT}> poison, <{W} x i32> zeroinitializer
  %out.at = mul i64 %i, %out.row
  %out.i = getelementptr {FLOAT}, ptr %out, i64 %out.at
  %before = load <{W} x {FLOAT}>, ptr %out.i, align {BYTES}
  %kept = fmul <{W} x {FLOAT}> %betas, %before
  %base = select i1 %anew, <{W} x {FLOAT}> zeroinitializer, <{W} x {FLOAT}> %kept
  %made = call <{W} x {FLOAT}> @llvm.fmuladd.v{W}{KIND}(<{W} x {FLOAT}> %factors, <{W} x {FLOAT}> %numbers, <{W} x {FLOAT}> %base)
  store <{W} x {FLOAT}> %made, ptr %out.i, align {BYTES}
  %i.next = add i64 %i, 1
  %i.more = icmp ult i64 %i.next, %rows
  br i1 %i.more, label %row, label %done

done:
  ret void
}

; One row's {W} * parts inner steps: out[j] = alpha * sum of a[k] * b[j, k] + beta * out[j].
define internal void @{NAME}_dots_{W}(i64 %parts, i64 %columns, {FLOAT} %alpha, ptr %b, i64 %b.row, ptr %a, {FLOAT} %beta, ptr %out) {
start:
  %anew = fcmp oeq {FLOAT} %beta, 0.0
  br label %column

column:
  %j = phi i64 [ 0, %start ], [ %j.next, %column.done ]
  %b.down = mul i64 %j, %b.row
  %b.j = getelementptr {FLOAT}, ptr %b, i64 %b.down
  br label %part

part:
  %p = phi i64 [ 0, %column ], [ %p.next, %part ]
  %sum = phi <{W} x {FLOAT}> [ zeroinitializer, %column ], [ %sum.next, %part ]
  %first = mul i64 %p, {W}
  %a.part = getelementptr {FLOAT}, ptr %a, i64 %first
  %b.part = getelementptr {FLOAT}, ptr %b.j, i64 %first
  %factors = load <{W} x {FLOAT}>, ptr %a.part, align {BYTES}
  %numbers = load <{W} x {FLOAT}>, ptr %b.part, align {BYTES}
  %sum.next = call <{W} x {FLOAT}> @llvm.fmuladd.v{W}{KIND}(<{W} x {FLOAT}> %factors, <{W} x {FLOAT}> %numbers, <{W} x {FLOAT}> %sum)
  %p.next = add i64 %p, 1
  %p.more = icmp ult i64 %p.next, %parts
  br i1 %p.more, label %part, label %column.done

column.done:
  %dot = call reassoc {FLOAT} @llvm.vector.reduce.fadd.v{W}{KIND}({FLOAT} -0.0, <{W} x {FLOAT}> %sum.next)
  %out.j = getelementptr {FLOAT}, ptr %out, i64 %j
  %before = load {FLOAT}, ptr %out.j
  %kept = fmul {FLOAT} %beta, %before
  %base = select i1 %anew, {FLOAT} 0.0, {FLOAT} %kept
  %made = call {FLOAT} @llvm.fmuladd.{KIND}({FLOAT} %alpha, {FLOAT} %dot, {FLOAT} %base)
  store {FLOAT} %made, ptr %out.j
  %j.next = add i64 %j, 1
  %j.more = icmp ult i64 %j.next, %columns
  br i1 %j.more, label %column, label %done

done:
  ret void
}

declare <{W} x {FLOAT}> @llvm.fmuladd.v{W}{KIND}(<{W} x {FLOAT}>, <{W} x {FLOAT}>, <{W} x {FLOAT}>)
declare {FLOAT} @llvm.vector.reduce.fadd.v{W}{KIND}({FLOAT}, <{W} x {FLOAT}>)
