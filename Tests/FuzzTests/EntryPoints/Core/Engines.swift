import Invalidation

extension EntryPoint {
  /// The whole Engine after a normal start: an `EngineScript`.
  static func engine(_ plugin: SourceMode) -> EntryPoint {
    // A value: every input goes on from the same start.
    let started = Result { try EngineHarness(plugin) }
    return EntryPoint(
      name: "engine-\(plugin.rawValue)",
      words: [
        "d\0", "f\0", "a\0\u{1}\u{40}", "r\0", "t\0\u{2}", "q\0\u{1}", "x\0\u{1}", "-OOM",
        ":9223372036854775807\n",
      ],
      isShort: false
    ) { bytes in
      var harness = try started.get()
      for step in EngineScript(bytes) { try harness.perform(step) }
    }
  }
}
