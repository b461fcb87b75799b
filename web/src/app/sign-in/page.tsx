// Sign in with email and password.
import { Credentials } from "@/app/credentials";
import { NoticeBox } from "@/app/notice";
import { noticeOf } from "@/lib/words";

export const metadata = { title: "Sign in · ATS" };

export default async function SignIn({ searchParams }: PageProps<"/sign-in">) {
  const { notice } = await searchParams;
  return (
    <>
      <h1>Sign in</h1>
      <NoticeBox notice={noticeOf(typeof notice === "string" ? notice : undefined)} />
      <Credentials action="/auth/sign-in" submit="Sign in" password="current-password" />
      <p>
        New here? <a href="/sign-up">Create an account</a>
      </p>
    </>
  );
}
