/* SPDX-License-Identifier: Apache-2.0 */
/* x86_64 code without a word of unwind information. */
	.text

/* void bare_take(size_t bytes): keeps nothing. */
	.globl bare_take
	.type bare_take, @function
bare_take:
	sub $24, %rsp
	call malloc@PLT
	add $24, %rsp
	ret
	.size bare_take, . - bare_take

/*
 * void false_take(size_t bytes, const void *record): the frame pointer leads to what looks like a
 * frame, but is none.
 */
	.globl false_take
	.type false_take, @function
false_take:
	push %rbp
	sub $16, %rsp
	mov %rsi, %rbp
	call malloc@PLT
	add $16, %rsp
	pop %rbp
	ret
	.size false_take, . - false_take

/* void pointer_take(size_t bytes, uintptr_t pcs[2]): notes its own return address in pcs[1]. */
	.globl pointer_take
	.type pointer_take, @function
pointer_take:
	push %rbp
	mov %rsp, %rbp
	mov 8(%rbp), %rax
	mov %rax, 8(%rsi)
	lea 1f(%rip), %rax
	mov %rax, (%rsi)
	call malloc@PLT
1:	pop %rbp
	ret
	.size pointer_take, . - pointer_take

	.section .note.GNU-stack, "", @progbits
