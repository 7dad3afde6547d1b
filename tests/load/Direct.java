// SPDX-License-Identifier: Apache-2.0

import java.io.FileOutputStream;
import java.io.IOException;
import java.lang.management.BufferPoolMXBean;
import java.lang.management.ManagementFactory;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Unsafe;

/**
 * Direct memory of known sums. "none" takes nothing, so that what the JVM itself holds can be
 * subtracted; "keep" takes buffers and raw Unsafe memory, gives some back, and keeps the rest; "grow" says "." and
 * waits for a byte, keeps the same, and fills its heap until it is killed. "told" does as told. "churn" has no sums.
 * Sizes are multiples of 8, for the JDK rounds up to that before it calls the JVM.
 */
public final class Direct {
	private static final Unsafe UNSAFE = unsafe();
	private static final List<ByteBuffer> KEPT = new ArrayList<>();

	private static long allocatedBytes;
	private static long allocatedCount;
	private static long freedBytes;
	private static long freedCount;

	private static Unsafe unsafe() {
		try {
			Field field = Unsafe.class.getDeclaredField("theUnsafe");
			field.setAccessible(true);
			return (Unsafe) field.get(null);
		} catch (ReflectiveOperationException e) {
			throw new IllegalStateException(e);
		}
	}

	private static void took(long bytes) {
		allocatedBytes += bytes;
		allocatedCount++;
	}

	private static void gave(long bytes) {
		freedBytes += bytes;
		freedCount++;
	}

	private static ByteBuffer takeBuffer(int bytes) {
		ByteBuffer buffer = ByteBuffer.allocateDirect(bytes);
		took(bytes == 0 ? 8 : bytes); /* max(1, size), rounded up to a word */
		return buffer;
	}

	private static void dropBuffer(ByteBuffer buffer) {
		int bytes = buffer.capacity();
		UNSAFE.invokeCleaner(buffer);
		gave(bytes == 0 ? 8 : bytes);
	}

	private static void takeBuffers() {
		for (int i = 0; i < 100; i++) {
			ByteBuffer buffer = takeBuffer(1000 + 8 * i);
			buffer.put(0, (byte) i);
			if (i % 3 == 0) {
				dropBuffer(buffer);
			} else {
				KEPT.add(buffer);
			}
		}
		KEPT.add(takeBuffer(4 << 20));
		dropBuffer(takeBuffer(0));
	}

	private static void takeRaw() {
		for (int i = 0; i < 100; i++) {
			long bytes = 320 + 8L * i;
			long address = UNSAFE.allocateMemory(bytes);
			took(bytes);
			UNSAFE.putByte(address, (byte) i);
			if (i % 4 == 1) {
				long more = 5 * bytes;
				address = UNSAFE.reallocateMemory(address, more);
				gave(bytes);
				took(more);
				bytes = more;
			}
			if (i % 2 == 0) {
				UNSAFE.freeMemory(address);
				gave(bytes);
			}
		}
		/* Nothing becomes a block, a block becomes nothing. */
		long address = UNSAFE.reallocateMemory(0, 808);
		took(808);
		UNSAFE.reallocateMemory(address, 0);
		gave(808);
		UNSAFE.freeMemory(0);
	}

	private static long poolBytes() {
		for (BufferPoolMXBean pool :
				ManagementFactory.getPlatformMXBeans(BufferPoolMXBean.class)) {
			if (pool.getName().equals("direct")) {
				return pool.getMemoryUsed();
			}
		}
		throw new IllegalStateException("no direct buffer pool");
	}

	private static long bufferBytes() {
		return KEPT.stream().mapToLong(ByteBuffer::capacity).sum();
	}

	private static void write(String mode, long pool) throws IOException {
		String path = System.getenv("HB_TRUTH");
		if (path == null) {
			return;
		}
		String line = "{\"mode\":\"" + mode + "\",\"pid\":" + ProcessHandle.current().pid()
				+ ",\"sites\":[],\"allocated_bytes\":" + allocatedBytes
				+ ",\"allocated_count\":" + allocatedCount
				+ ",\"freed_bytes\":" + freedBytes
				+ ",\"freed_count\":" + freedCount
				+ ",\"outstanding_bytes\":" + (allocatedBytes - freedBytes)
				+ ",\"outstanding_count\":" + (allocatedCount - freedCount)
				+ ",\"facts\":{\"pool_bytes\":" + pool
				+ ",\"buffer_bytes\":" + bufferBytes()
				+ ",\"blocks\":" + allocatedCount
				+ ",\"cpu_ns\":" + ManagementFactory.getThreadMXBean().getCurrentThreadCpuTime()
				+ "}}\n";
		try (FileOutputStream file = new FileOutputStream(path, true)) {
			file.write(line.getBytes());
		}
	}

	/** Four threads that take buffers of all sizes and leave them to the collector, until we are killed. */
	private static void churn() {
		for (int i = 0; i < 4; i++) {
			int first = i;
			new Thread(() -> {
				ByteBuffer[] kept = new ByteBuffer[16];
				for (int n = first; ; n++) {
					kept[n % 16] = ByteBuffer.allocateDirect((n * 7919 & 0xfffff) + 1);
					if (n % 500 == 0) {
						System.gc();
					}
				}
			}).start();
		}
	}

	/** Takes a buffer and gives it back, as long as it is told to; on which CPU time, it says itself. */
	private static void pairs() {
		for (int i = 0; i < 64; i++) {
			dropBuffer(takeBuffer(1000 + 8 * i));
		}
	}

	/**
	 * Does as it is told on stdin, as tests/load/bursts does: 'x' pairs() over and over, 's' 12,800 a second, '.'
	 * none; at '.' and '?' it says what it has done.
	 */
	private static void told() throws IOException, InterruptedException {
		for (int order = '.'; order >= 0; ) {
			while (order != '.' && System.in.available() == 0) {
				for (int i = 0; i < (order == 'x' ? 50 : 2); i++) {
					pairs();
				}
				if (order == 's') {
					Thread.sleep(10);
				}
			}
			int word = System.in.read();
			if (word == '.' || word == '?') {
				write("told", 0);
			}
			order = word == '?' ? order : word;
		}
	}

	private static void grow() throws IOException {
		long before = poolBytes();
		System.out.write('.');
		System.out.flush();
		if (System.in.read() < 0) {
			throw new IllegalStateException("nobody says when to begin");
		}
		takeBuffers();
		takeRaw();
		write("grow", poolBytes() - before);
		for (List<byte[]> heap = new ArrayList<>(); ; ) {
			heap.add(new byte[1 << 20]);
		}
	}

	/** Takes one argument, the mode. */
	public static void main(String[] args) throws Exception {
		if (args[0].equals("churn")) {
			churn();
			return;
		}
		if (args[0].equals("grow")) {
			grow();
		}
		if (args[0].equals("told")) {
			told();
			return;
		}
		long before = poolBytes();
		if (args[0].equals("keep")) {
			takeBuffers();
			takeRaw();
		}
		write(args[0], poolBytes() - before);
		Runtime.getRuntime().halt(0);
	}

	private Direct() {
	}
}
