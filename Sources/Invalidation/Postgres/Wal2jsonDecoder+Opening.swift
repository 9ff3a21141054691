extension Wal2jsonDecoder {
  /// All of a row's message before its first list of columns, as the last row had it that was taken apart:
  ///
  ///     {"action":"U","xid":742,"timestamp":"…","lsn":"0/1554BC0","schema":"public","table":"t","columns":
  ///
  /// What differs from row to row is passed over, since Begin tells it of the transaction. The runs between are compared.
  struct Opening {
    private(set) var action = Action.insert
    private(set) var endsInColumns = false
    private var bytes: [UInt8] = []
    /// They lie in `bytes`; none before the first row.
    private var runs: [Range<Int>] = []
    private var schema = 0..<0
    private var table = 0..<0
    /// Of the message that is being taken apart, until its first list.
    private var isRecording = false
    private var recorded: [Range<Int>] = []
    private var start = 0
    private var startOfRun = 0

    /// Whether the message has the same, which is then taken.
    @_lifetime(cursor: copy cursor)
    @inline(__always)
    mutating func isNext(_ cursor: inout JSONCursor, _ text: inout [UInt8]) -> Bool {
      guard !runs.isEmpty else { return false }
      var trial = cursor
      for index in runs.indices {
        guard trial.skip(bytes.span.extracting(runs[index])) else { return false }
        // What is no value there is an error for who takes the message apart.
        if index + 1 < runs.count, (try? trial.scalar(in: &text)) == nil { return false }
      }
      cursor = trial
      isRecording = false
      return true
    }

    /// Where schema and table lie in a message whose first list begins there.
    func names(before end: Int) -> (schema: Range<Int>, table: Range<Int>) {
      let shift = end - bytes.count
      return (schema.shifted(by: shift), table.shifted(by: shift))
    }

    // MARK: Keeping one

    mutating func begin(at offset: Int) {
      isRecording = true
      if !recorded.isEmpty { recorded.removeAll(keepingCapacity: true) }
      (start, startOfRun) = (offset, offset)
    }

    mutating func passOver(from offset: Int) {
      if isRecording { recorded.append(startOfRun - start..<offset - start) }
    }

    mutating func goOn(at offset: Int) { startOfRun = offset }

    /// The message is not what the next one is likely to be like.
    mutating func forget() { isRecording = false }

    /// Keeps what begins where it was said to and ends there, unless schema and table lie in other runs than the last.
    mutating func keep(
      _ message: Span<UInt8>, to end: Int, action: Action, schema: Range<Int>, table: Range<Int>,
      endsInColumns: Bool
    ) {
      guard isRecording else { return }
      isRecording = false
      guard min(schema.lowerBound, table.lowerBound) >= startOfRun else { return }
      recorded.append(startOfRun - start..<end - start)
      swap(&runs, &recorded)
      bytes.removeAll(keepingCapacity: true)
      bytes.append(message.extracting(start..<end))
      self.schema = schema.shifted(by: -start)
      self.table = table.shifted(by: -start)
      (self.action, self.endsInColumns) = (action, endsInColumns)
    }
  }
}

extension Range<Int> {
  func shifted(by distance: Int) -> Range<Int> { lowerBound + distance..<upperBound + distance }
}
