// Create an account with email and password.
import { Credentials } from "@/app/credentials";
import { NoticeBox } from "@/app/notice";
import { noticeOf } from "@/lib/words";

export const metadata = { title: "Create an account · ATS" };

export default async function SignUp({ searchParams }: PageProps<"/sign-up">) {
  const { notice } = await searchParams;
  return (
    <>
      <h1>Create an account</h1>
      <NoticeBox notice={noticeOf(typeof notice === "string" ? notice : undefined)} />
      <p>Your password has at least 8 characters.</p>
      <Credentials action="/auth/sign-up" submit="Create account" password="new-password" />
      <p>
        You have one? <a href="/sign-in">Sign in</a>
      </p>
    </>
  );
}
