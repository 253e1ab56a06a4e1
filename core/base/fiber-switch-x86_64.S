/* SPDX-License-Identifier: Apache-2.0
 *
 * The switch for x86-64 (System V ABI): six callee-saved registers and the stack pointer. The
 * floating-point control words are not saved: nothing here changes them. */
#if defined(__x86_64__)

	.text

/* void lab_fiber_switch(void **save_sp, void *load_sp) */
	.globl	lab_fiber_switch
	.hidden	lab_fiber_switch
	.type	lab_fiber_switch, @function
	.p2align 4
lab_fiber_switch:
	.cfi_startproc
	endbr64
	pushq	%rbp
	pushq	%rbx
	pushq	%r12
	pushq	%r13
	pushq	%r14
	pushq	%r15
	movq	%rsp, (%rdi)
	movq	%rsi, %rsp
	popq	%r15
	popq	%r14
	popq	%r13
	popq	%r12
	popq	%rbx
	popq	%rbp
	/* Not `ret`: the return would always be predicted into the other stack. */
	popq	%rcx
	jmpq	*%rcx
	.cfi_endproc
	.size	lab_fiber_switch, . - lab_fiber_switch

/* Where a new fiber starts: r12 is its argument, r13 its function, which never returns. */
	.globl	lab_fiber_entry
	.hidden	lab_fiber_entry
	.type	lab_fiber_entry, @function
	.p2align 4
lab_fiber_entry:
	.cfi_startproc
	.cfi_undefined rip
	endbr64
	movq	%r12, %rdi
	callq	*%r13
	ud2
	.cfi_endproc
	.size	lab_fiber_entry, . - lab_fiber_entry

#endif

	.section .note.GNU-stack, "", %progbits
