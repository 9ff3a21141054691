/// A place where bytes come in that cdcd has not written.
struct EntryPoint: Sendable {
  /// Names its corpus, `Corpus/NAME.txt`.
  let name: String
  /// What to mutate with: the words of the format.
  var words: [String] = []
  /// Whether every byte of an entry is worth a run of its own. A whole file takes too long for that, and the messages in a
  /// script have theirs in the decoders' corpora.
  var isShort = true
  /// Takes one input.
  ///
  /// - Throws: `Violation`. Whatever else is wrong with the input is no error here: it has to be refused.
  let run: @Sendable (_ input: [UInt8]) throws -> Void
}

/// A promise about inputs that was not kept.
struct Violation: Error, CustomStringConvertible {
  let description: String

  init(_ description: String) { self.description = description }
}

/// Throws a `Violation` unless the condition holds.
func require(_ condition: Bool, _ promise: @autoclosure () -> String) throws(Violation) {
  guard condition else { throw Violation(promise()) }
}
