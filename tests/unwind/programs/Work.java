// SPDX-License-Identifier: Apache-2.0

import java.io.File;
import java.net.URI;
import java.util.ArrayList;
import java.util.List;
import java.util.Map;
import java.util.stream.Collectors;
import java.util.stream.IntStream;
import java.util.zip.CRC32;
import java.util.zip.Deflater;
import javax.tools.JavaCompiler;
import javax.tools.JavaFileObject;
import javax.tools.SimpleJavaFileObject;
import javax.tools.ToolProvider;

/** Keeps a JVM busy for ever: classes are made and loaded anew, so that its own compilers never rest. */
public class Work {
	static class Source extends SimpleJavaFileObject {
		private final String text;

		Source(String name, String text) {
			super(URI.create("string:///" + name + ".java"), Kind.SOURCE);
			this.text = text;
		}

		@Override
		public CharSequence getCharContent(boolean ignored) {
			return text;
		}
	}

	static String text(String name, int n) {
		StringBuilder text = new StringBuilder("public class " + name + " implements Runnable {\n");
		for (int i = 0; i < 20; i++)
			text.append("static long f" + i + "(long a) { long s = " + n + ";"
					+ " for (int i = 0; i < 200; i++) { s = s * " + (31 + i) + " + (a ^ i);"
					+ " if (s % 7 == 3) s += Long.toString(s).hashCode(); } return s; }\n");
		text.append("public void run() { long s = 0; for (int i = 0; i < 300; i++) s += ");
		for (int i = 0; i < 20; i++)
			text.append("f" + i + "(i) + ");
		return text.append("s; if (s == 1) System.out.println(s); }\n}\n").toString();
	}

	static void compile(File folder, int n) throws Exception {
		JavaCompiler compiler = ToolProvider.getSystemJavaCompiler();
		String name = "Made" + n % 50;
		List<JavaFileObject> sources = List.of(new Source(name, text(name, n)));
		compiler.getTask(null, null, null, List.of("-d", folder.getPath()), null, sources).call();
		try (java.net.URLClassLoader loader = new java.net.URLClassLoader(
				new java.net.URL[] { folder.toURI().toURL() })) {
			((Runnable) loader.loadClass(name).getDeclaredConstructor().newInstance()).run();
		}
	}

	static void allocate() {
		List<byte[]> kept = new ArrayList<>();
		for (int i = 0; i < 400; i++) {
			kept.add(new byte[10000 + i]);
			if (kept.size() > 200)
				kept.subList(0, 100).clear();
		}
		Map<Integer, List<String>> groups = IntStream.range(0, 5000).mapToObj(Integer::toString)
				.collect(Collectors.groupingBy(String::length));
		CRC32 sum = new CRC32();
		sum.update(groups.toString().getBytes());
		Deflater deflater = new Deflater();
		deflater.setInput(groups.toString().getBytes());
		deflater.finish();
		deflater.deflate(new byte[100000]);
		deflater.end();
	}

	public static void main(String[] args) throws Exception {
		Thread allocating = new Thread(() -> {
			while (true)
				allocate();
		});
		allocating.setDaemon(true);
		allocating.start();
		new File(args[0], "runs").createNewFile();
		for (int n = 0;; n++)
			compile(new File(args[0]), n);
	}
}
