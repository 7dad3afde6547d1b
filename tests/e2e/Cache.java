// SPDX-License-Identifier: Apache-2.0
/*
 * A service with a cache that nothing bounds: ten times a second an entry of 8 MiB, its body in a direct buffer
 * that the JVM clears, its keys, up to 48 MiB of them, on the heap.
 */
import java.nio.ByteBuffer;
import java.util.ArrayList;
import java.util.List;

public class Cache {
	private static final int BODY = 8 << 20, KEYS = 1 << 20, KEYS_MOST = 48;

	public static void main(String[] arguments) throws InterruptedException {
		List<ByteBuffer> bodies = new ArrayList<>();
		List<byte[]> keys = new ArrayList<>();

		for (;;) {
			bodies.add(ByteBuffer.allocateDirect(BODY));
			if (keys.size() < KEYS_MOST)
				keys.add(new byte[KEYS]);
			Thread.sleep(100);
		}
	}
}
