/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch for arm64 (AAPCS64): x19 to x30, d8 to d15 and the stack pointer. */
#if defined(__aarch64__)

	.text

/* void lab_fiber_switch(void **save_sp, void *load_sp) */
	.globl	lab_fiber_switch
	.hidden	lab_fiber_switch
	.type	lab_fiber_switch, %function
	.p2align 4
lab_fiber_switch:
	.cfi_startproc
	hint	#34		/* bti c */
	sub	sp, sp, #160
	stp	x19, x20, [sp, #0]
	stp	x21, x22, [sp, #16]
	stp	x23, x24, [sp, #32]
	stp	x25, x26, [sp, #48]
	stp	x27, x28, [sp, #64]
	stp	x29, x30, [sp, #80]
	stp	d8, d9, [sp, #96]
	stp	d10, d11, [sp, #112]
	stp	d12, d13, [sp, #128]
	stp	d14, d15, [sp, #144]
	mov	x9, sp
	str	x9, [x0]
	mov	sp, x1
	ldp	x19, x20, [sp, #0]
	ldp	x21, x22, [sp, #16]
	ldp	x23, x24, [sp, #32]
	ldp	x25, x26, [sp, #48]
	ldp	x27, x28, [sp, #64]
	ldp	x29, x30, [sp, #80]
	ldp	d8, d9, [sp, #96]
	ldp	d10, d11, [sp, #112]
	ldp	d12, d13, [sp, #128]
	ldp	d14, d15, [sp, #144]
	add	sp, sp, #160
	ret
	.cfi_endproc
	.size	lab_fiber_switch, . - lab_fiber_switch

/* Where a new fiber starts: x19 is its argument, x20 its function, which never returns. */
	.globl	lab_fiber_entry
	.hidden	lab_fiber_entry
	.type	lab_fiber_entry, %function
	.p2align 4
lab_fiber_entry:
	.cfi_startproc
	.cfi_undefined x30
	hint	#36		/* bti j */
	mov	x0, x19
	blr	x20
	brk	#1
	.cfi_endproc
	.size	lab_fiber_entry, . - lab_fiber_entry

#endif

	.section .note.GNU-stack, "", %progbits
