// SPDX-License-Identifier: Apache-2.0

import java.io.IOException;
import java.io.RandomAccessFile;
import java.lang.ref.Reference;
import java.lang.reflect.Field;
import java.nio.ByteBuffer;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.util.ArrayList;
import java.util.List;
import sun.misc.Unsafe;

/**
 * Direct buffers, for the bench. "churn SECONDS": takes one and gives it back, over and over, and for each byte on
 * stdin does that for SECONDS and prints "churned", buffers per second. "hold COUNT FILE": maps FILE that many times.
 * Ends with its stdin.
 */
public final class Buffers {
	private static final int PAIRS = 64; /* between two looks at the clock */

	private static Unsafe unsafe() {
		try {
			Field field = Unsafe.class.getDeclaredField("theUnsafe");
			field.setAccessible(true);
			return (Unsafe) field.get(null);
		} catch (ReflectiveOperationException e) {
			throw new IllegalStateException(e);
		}
	}

	private static double churn(Unsafe unsafe, double seconds) {
		long begin = System.nanoTime();
		long count = 0;
		long now;
		do {
			for (int i = 0; i < PAIRS; i++) {
				ByteBuffer buffer = ByteBuffer.allocateDirect(1024 + 64 * i);
				buffer.put(0, (byte) i);
				unsafe.invokeCleaner(buffer);
			}
			count += PAIRS;
			now = System.nanoTime();
		} while (now - begin < seconds * 1e9);
		return count * 1e9 / (now - begin);
	}

	private static List<MappedByteBuffer> mapped(String path, int count) throws IOException {
		List<MappedByteBuffer> all = new ArrayList<>();
		try (RandomAccessFile file = new RandomAccessFile(path, "r")) {
			for (int i = 0; i < count; i++) {
				all.add(file.getChannel().map(FileChannel.MapMode.READ_ONLY, 0, file.length()));
			}
		}
		return all;
	}

	public static void main(String[] args) throws IOException {
		if (args[0].equals("hold")) {
			List<MappedByteBuffer> kept = mapped(args[2], Integer.parseInt(args[1]));
			System.out.println("ready");
			while (System.in.read() >= 0) {
			}
			Reference.reachabilityFence(kept);
			return;
		}
		Unsafe unsafe = unsafe();
		churn(unsafe, 1); /* compiled by now */
		System.out.println("ready");
		while (System.in.read() >= 0) {
			System.out.println("churned " + churn(unsafe, Double.parseDouble(args[1])));
		}
	}

	private Buffers() {
	}
}
