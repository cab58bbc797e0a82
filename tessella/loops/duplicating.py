"""Copying an array as it is, unless the copy is to lie where the array lies."""

from __future__ import annotations

NAME = "duplicate"


# Bytes [begin, end) go from the first pointer to the second one.
TEXT = f"""
declare void @llvm.memcpy.p0.p0.i64(ptr, ptr, i64, i1)

define void @{NAME}(ptr %args, i64 %begin, i64 %end) nounwind {{
  %target.at = getelementptr i64, ptr %args, i64 1
  %source = load ptr, ptr %args
  %target = load ptr, ptr %target.at
  %same = icmp eq ptr %source, %target
  br i1 %same, label %done, label %copy
copy:
  %from = getelementptr i8, ptr %source, i64 %begin
  %to = getelementptr i8, ptr %target, i64 %begin
  %count = sub i64 %end, %begin
  call void @llvm.memcpy.p0.p0.i64(ptr %to, ptr %from, i64 %count, i1 false)
  br label %done
done:
  ret void
}}
"""
